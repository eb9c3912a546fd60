package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/tide"
)

// fake is a controller that remembers who flipped.
type fake struct {
	*apitest.Fake
	at     netip.AddrPort
	change chan struct{}
	points [][]tide.Point
	ends   bool // the tide does, by itself
	flips  []api.FlipRequest
	by     []api.Peer
}

func (f *fake) Web() (netip.AddrPort, <-chan struct{}) { return f.at, f.change }

func (f *fake) Tide(ctx context.Context, service string, yield func([]tide.Point) error) error {
	if service != "world" {
		return api.Errorf(api.NotFound, "service %s: there is none of this name", service)
	}
	for _, p := range f.points {
		if err := yield(p); err != nil {
			return err
		}
	}
	if f.ends {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func newFake() *fake {
	f := &fake{Fake: &apitest.Fake{}, change: make(chan struct{})}
	f.OnStatus = func(context.Context) (api.Status, error) { return api.Status{Version: "test"}, nil }
	f.OnFlip = func(ctx context.Context, req api.FlipRequest) (api.FlipResult, error) {
		peer, _ := api.PeerOf(ctx)
		f.flips, f.by = append(f.flips, req), append(f.by, peer)
		return api.FlipResult{Service: req.Service, Changed: true}, nil
	}
	return f
}

var access = Access{Address: "127.0.0.1:8080", Token: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

// mustServe serves the page on a real port, and gives where.
func mustServe(t *testing.T, f *fake) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, Handler(f, access), slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// ask sends one request, as changed.
func ask(t *testing.T, method, url, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access.Token)
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

const flipWorld = `{"service": "world", "to": "green", "reason": "because"}`

func TestWhatIsNotThePagesIsRefused(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for _, row := range []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"no token", func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized},
		{"another token", header("Authorization", "Bearer "+access.Token[1:]+"A"), http.StatusUnauthorized},
		{"an empty token", header("Authorization", "Bearer "), http.StatusUnauthorized},
		{"the token as a password", func(r *http.Request) { r.SetBasicAuth("", access.Token) }, http.StatusUnauthorized},
		{"the token as a cookie", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "ebbtide-token", Value: access.Token})
		}, http.StatusUnauthorized},
		{"a foreign origin", header("Origin", "http://evil.example"), http.StatusForbidden},
		{"an origin of nothing", header("Origin", "null"), http.StatusForbidden},
		{"another port's origin", header("Origin", "http://127.0.0.1:1"), http.StatusForbidden},
		{"a foreign page", header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"a page of another port", header("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		{"a foreign name that was pointed here", host("evil.example:8080"), http.StatusForbidden},
		{"a name that begins as a good one", host("localhost.evil.example"), http.StatusForbidden},
		{"an address that is not loopback", host("192.0.2.1:8080"), http.StatusForbidden},
		{"no name", host(" "), http.StatusForbidden},
		{"the page", nil, http.StatusOK},
		{"the page through a tunnel", host("localhost:9000"), http.StatusOK},
		{"the page by IPv6", host("[::1]:8080"), http.StatusOK},
		{"the page with all that browsers send", func(r *http.Request) {
			r.Header.Set("Origin", "http://"+r.URL.Host)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}, http.StatusOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFake()
			f.ends = true // one that is let in must not hold the test up
			at := "http://" + mustServe(t, f)
			answer, text := ask(t, "POST", at+"/v1/flip", flipWorld, row.change)
			if answer.StatusCode != row.want {
				t.Errorf("%d: %s; want %d", answer.StatusCode, text, row.want)
			}
			if flipped := len(f.flips) == 1; flipped != (row.want == http.StatusOK) {
				t.Errorf("%d flips were made", len(f.flips))
			}
			if row.want == http.StatusUnauthorized || row.want == http.StatusForbidden {
				if answer, text := ask(t, "GET", at+"/v1/status", "", row.change); answer.StatusCode != row.want {
					t.Errorf("status: %d: %s; want %d", answer.StatusCode, text, row.want)
				}
				if answer, text := ask(t, "GET", at+"/tide?service=world", "", row.change); answer.StatusCode != row.want {
					t.Errorf("tide: %d: %s; want %d", answer.StatusCode, text, row.want)
				}
			}
		})
	}
}

func TestAChangeIsOfTheUserAtTheOtherEnd(t *testing.T) {
	f := newFake()
	ask(t, "POST", "http://"+mustServe(t, f)+"/v1/flip", flipWorld, nil)
	if len(f.by) != 1 || f.by[0].UID != uint32(os.Getuid()) || f.flips[0].Reason != "because" {
		t.Errorf("flips %+v by %+v, want one by user %d", f.flips, f.by, os.Getuid())
	}
	// Where the kernel knows of no such connection nothing is done: the journal would have it as the daemon's own.
	nobody := httptest.NewRequest("POST", "http://127.0.0.1/v1/flip", strings.NewReader(flipWorld))
	nobody.Header.Set("Authorization", "Bearer "+access.Token)
	nobody.RemoteAddr = "127.0.0.1:9"
	nobody = nobody.WithContext(context.WithValue(nobody.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})))
	answer := httptest.NewRecorder()
	Handler(f, access).ServeHTTP(answer, nobody)
	if answer.Code != http.StatusConflict || len(f.flips) != 1 {
		t.Errorf("a change by nobody: %d %s, and %d flips", answer.Code, answer.Body, len(f.flips))
	}
}

func TestOnlyThePagesVerbsAreThere(t *testing.T) {
	at := "http://" + mustServe(t, newFake())
	for _, verb := range []string{"detach", "reload", "trace", "flows", "stage", "close", "plan", "replay", "lock", "unlock", "health"} {
		if answer, text := ask(t, "POST", at+"/v1/"+verb, "{}", nil); answer.StatusCode < 400 || answer.StatusCode == 409 {
			t.Errorf("%s: %d: %s", verb, answer.StatusCode, text)
		}
	}
}

func TestNoOtherPageFramesItAndItLoadsNothingFromElsewhere(t *testing.T) {
	at := "http://" + mustServe(t, newFake())
	for name, text := range files() {
		answer, got := ask(t, "GET", at+name, "", func(r *http.Request) { r.Header.Del("Authorization") })
		if answer.StatusCode != http.StatusOK || got != string(text) {
			t.Errorf("%s: %d, %d bytes; want %d", name, answer.StatusCode, len(got), len(text))
		}
		if kind := answer.Header.Get("Content-Type"); kind == "" || name != "/" && kind != types[path.Ext(name)] {
			t.Errorf("%s is %q", name, kind)
		}
		csp := answer.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "script-src 'self';"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy lacks %s: %s", name, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || answer.Header.Get("X-Frame-Options") != "DENY" || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", name, answer.Header)
		}
	}
	html := string(files()["/"])
	for _, tag := range regexp.MustCompile(`<(script|style|link)[^>]*>`).FindAllString(html, -1) {
		if strings.HasPrefix(tag, "<style") || strings.HasPrefix(tag, "<script") && !strings.Contains(tag, ` src="/`) || strings.Contains(tag, "//") {
			t.Errorf("%s is within the page, or from elsewhere", tag)
		}
	}
	if answer, _ := ask(t, "GET", at+"/../server.go", "", nil); answer.StatusCode == http.StatusOK {
		t.Error("there is more than the page's own files")
	}
}

func TestThePageIsSmall(t *testing.T) {
	const most = 150_000
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	for name, text := range files() {
		if name != "/" {
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d bytes compressed", out.Len()); out.Len() > most {
		t.Errorf("%d bytes compressed, want %d at most", out.Len(), most)
	}
}

func TestTheTideIsStreamed(t *testing.T) {
	f := newFake()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.points = [][]tide.Point{
		{{At: noon, Generations: []tide.Count{{Number: 1, Colour: "blue", Version: "1.9", Sessions: 7}}}},
		{{At: noon.Add(time.Second), Generations: []tide.Count{}}},
	}
	at := "http://" + mustServe(t, f)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, err := http.NewRequestWithContext(ctx, "GET", at+"/tide?service=world", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access.Token)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	in := bufio.NewScanner(answer.Body)
	var got []string
	for len(got) < 2 && in.Scan() {
		if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			got = append(got, data)
		}
	}
	want := []string{
		`[{"at":"2026-03-01T12:00:00Z","generations":[{"number":1,"colour":"blue","version":"1.9","sessions":7}]}]`,
		`[{"at":"2026-03-01T12:00:01Z","generations":[]}]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%s\n%s", answer.Header.Get("Content-Type"), strings.Join(got, "\n"))
	}
	if answer, text := ask(t, "GET", at+"/tide?service=moon", "", nil); answer.StatusCode != http.StatusNotFound || !strings.Contains(text, "none of this name") {
		t.Errorf("a service that there is none of: %d: %s", answer.StatusCode, text)
	}
}

func TestTheTokenIsForTheDaemonsUserOnlyAndOutlivesARestart(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "ebbtide.sock")
	if _, err := ReadAccess(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is served, and: %v", err)
	}
	give := func() Access {
		t.Helper()
		a, err := giveAccess(AccessFile(socket), netip.MustParseAddrPort("127.0.0.1:8080"))
		if err != nil {
			t.Fatal(err)
		}
		if read, err := ReadAccess(socket); err != nil || read != a {
			t.Errorf("read %+v, %v; want %+v", read, err, a)
		}
		if info, err := os.Stat(AccessFile(socket)); err != nil || info.Mode() != 0o600 {
			t.Errorf("the file: %v, %v", info.Mode(), err)
		}
		return a
	}
	first := give()
	if second := give(); second != first {
		t.Errorf("a restart made %+v of %+v", second, first)
	}
	if err := os.Chmod(AccessFile(socket), 0o644); err != nil {
		t.Fatal(err)
	}
	if third := give(); third.Token == first.Token {
		t.Error("a token that others could read was kept")
	}
	if err := os.WriteFile(AccessFile(socket), []byte(`{"token": "short"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if fourth := give(); len(fourth.Token) < 26 {
		t.Errorf("the token %q was kept", fourth.Token)
	}
}

func TestThePageFollowsTheConfiguration(t *testing.T) {
	ports := make([]netip.AddrPort, 2)
	for i := range ports { // at addresses of their own: nobody else is given the port meanwhile
		ln, err := net.Listen("tcp", fmt.Sprintf("127.71.9.%d:0", i+1))
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = ln.Addr().(*net.TCPAddr).AddrPort()
		ln.Close()
	}
	socket := filepath.Join(t.TempDir(), "ebbtide.sock")
	places := newMoving()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, places, socket, slog.New(slog.DiscardHandler)) }()
	for _, at := range append(ports, netip.AddrPort{}, ports[0]) {
		places.move(at)
		for _, port := range ports {
			eventually(t, func() bool { return serves(port) == (port == at) })
		}
		_, err := ReadAccess(socket)
		if served := err == nil; served != at.IsValid() {
			eventually(t, func() bool { _, err := ReadAccess(socket); return (err == nil) == at.IsValid() })
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if serves(ports[0]) {
		t.Error("it is served after the end")
	}
}

// An address that another process has is taken when that lets it go, and the log says once that it could not be had.
func TestAnAddressThatIsTakenIsTriedAgain(t *testing.T) {
	other, err := net.Listen("tcp", "127.71.9.3:0")
	if err != nil {
		t.Fatal(err)
	}
	at := other.Addr().(*net.TCPAddr).AddrPort()
	places, failed := watched{newMoving(), make(chan struct{}, 100)}, make(chan string, 100)
	places.move(at)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	socket := filepath.Join(t.TempDir(), "ebbtide.sock")
	go func() { ended <- Run(ctx, places, socket, slog.New(slog.NewTextHandler(says(failed), nil))) }()
	if line := <-failed; !strings.Contains(line, "the web page is not served") {
		t.Errorf("it says %s", line)
	}
	for range 5 { // it looks twice for each try
		<-places.looked
	}
	other.Close()
	if line := <-failed; !strings.Contains(line, "the web page is served") {
		t.Errorf("it says %s", line)
	}
	if !serves(at) {
		t.Error("it is not served")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// watched tells when somebody looks where the page is wanted.
type watched struct {
	*moving
	looked chan struct{}
}

func (w watched) Web() (netip.AddrPort, <-chan struct{}) {
	w.looked <- struct{}{}
	return w.moving.Web()
}

// says hands over what is logged, line by line.
type says chan string

func (s says) Write(line []byte) (int, error) { s <- string(line); return len(line), nil }

func serves(at netip.AddrPort) bool {
	conn, err := net.Dial("tcp", at.String())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it never came true")
}
