package health

import (
	"context"
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// within gives a check the time that a loaded machine needs; one that has to run out of it gets less.
func within(h config.Health, d time.Duration) config.Health {
	h.Timeout = d
	return h
}

func mustBe(t *testing.T, h config.Health, want string) {
	t.Helper()
	h = within(h, 10*time.Second)
	err := Check(t.Context(), h, loopback)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func portOf(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }

func TestTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := config.Health{TCP: portOf(ln.Addr())}
	mustBe(t, h, "")
	ln.Close()
	mustBe(t, h, "connection refused")
}

func TestHTTP(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/sick", http.StatusFound)
		case "/sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/endless":
			for r.Context().Err() == nil {
				io.WriteString(w, strings.Repeat("x", 1<<16))
			}
		}
	})
	plain, secure := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secure.Close()
	for path, want := range map[string]string{"/": "", "/moved": "", "/sick": "status 503", "/endless": ""} {
		mustBe(t, config.Health{HTTP: &config.HTTPCheck{Port: portOf(plain.Listener.Addr()), Path: path}}, want)
		mustBe(t, config.Health{HTTP: &config.HTTPCheck{Port: portOf(secure.Listener.Addr()), Path: path, TLS: true}}, want)
	}
}

// A certificate is looked at where the check says whose it has to be.
func TestTheCertificateIsLookedAt(t *testing.T) {
	asked := ""
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.Host }))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca, none := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "none.pem")
	for file, text := range map[string][]byte{ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), none: []byte("none")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		trust *config.Trust
		want  string
	}{
		{nil, ""},
		{&config.Trust{CA: ca}, ""}, // it is of 127.0.0.1, too
		{&config.Trust{CA: ca, ServerName: "example.com"}, ""},
		{&config.Trust{CA: ca, ServerName: "world.example"}, "not world.example"},
		{&config.Trust{ServerName: "example.com"}, "certificate"}, // nobody whom the system knows has signed it
		{&config.Trust{CA: none}, "no certificate is in " + none},
		{&config.Trust{CA: none + "x"}, "read the ca of the check: open "},
	} {
		mustBe(t, config.Health{HTTP: &config.HTTPCheck{Port: portOf(s.Listener.Addr()), Path: "/", TLS: true, Trust: row.trust}}, row.want)
		if row.trust != nil && row.trust.ServerName == "example.com" && row.want == "" && asked != "example.com" {
			t.Errorf("it was asked for %s", asked)
		}
	}
}

func TestTheStatusIsOneOfThoseThatAreWell(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer s.Close()
	for statuses, want := range map[config.Statuses]string{{}: "", {First: 204, Last: 204}: "", {First: 200, Last: 203}: "status 204", {First: 205, Last: 399}: "status 204"} {
		mustBe(t, config.Health{HTTP: &config.HTTPCheck{Port: portOf(s.Listener.Addr()), Path: "/", Status: statuses}}, want)
	}
}

func TestGRPC(t *testing.T) {
	serving := map[string]byte{"": 1, "world": 1, "raid": 2}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		status, known := serving[string(body[7:])]
		w.Header().Set("Trailer", "Grpc-Status")
		if !known || r.URL.Path != "/grpc.health.v1.Health/Check" || body[5] != 10 || binary.BigEndian.Uint32(body[1:]) != uint32(len(body)-5) {
			w.Header().Set("Grpc-Status", "5")
			return
		}
		w.Write([]byte{0, 0, 0, 0, 2, 8, status})
		w.Header().Set("Grpc-Status", "0")
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	for service, want := range map[string]string{"": "", "world": "", "raid": "not serving", "nobody": `gRPC status "5"`} {
		mustBe(t, config.Health{GRPC: &config.GRPCCheck{Port: portOf(s.Listener.Addr()), Service: service}}, want)
	}
}

func TestUDP(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if string(buf[:n]) == "ping" {
				conn.WriteTo([]byte("pong 7 players"), from)
			}
		}
	}()
	probe := config.UDPCheck{Port: portOf(conn.LocalAddr()), Send: "ping", Expect: "pong"}
	mustBe(t, config.Health{UDP: &probe}, "")
	other := probe
	other.Expect = "ready"
	mustBe(t, config.Health{UDP: &other}, `begins with "pong 7 players"`)
	silent := probe
	silent.Send = "who is there?"
	if err := Check(t.Context(), within(config.Health{UDP: &silent}, time.Second), loopback); err == nil {
		t.Error("silence is taken for an answer")
	}
	conn.Close()
	mustBe(t, config.Health{UDP: &probe}, "connection refused")
}

func TestExec(t *testing.T) {
	mustBe(t, config.Health{Exec: []string{"/bin/sh", "-c", `test "$EBBTIDE_ADDRESS" = 127.0.0.1`}}, "")
	mustBe(t, config.Health{Exec: []string{"/bin/sh", "-c", "exit 3"}}, "exit code 3")
	mustBe(t, config.Health{Exec: []string{"/nowhere/check"}}, "no such file")
}

// What a check has started ends with it.
func TestAProgramThatHangsEndsWithAllThatItStarted(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	hangs := config.Health{Exec: []string{"/bin/sh", "-c", "sleep 600 & echo $! >" + pid + "; wait"}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Check(ctx, within(hangs, time.Minute), loopback) }()
	var child string
	for child == "" {
		text, _ := os.ReadFile(pid)
		child = strings.TrimSpace(string(text))
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("it passed")
	}
	for {
		state, err := os.ReadFile("/proc/" + child + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
