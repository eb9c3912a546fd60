package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/remote"
	"github.com/ebbtide/ebbtide/internal/remote/remotetest"
)

// door is a server on loopback with a daemon that notes who has got how far.
type door struct {
	*remote.Server
	ca    *remotetest.Authority
	conf  config.API
	log   *logged
	mu    sync.Mutex
	asked []string // "alice (certificate) flip world"
}

type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// mustOpen opens one where alice is admin, olga operator of world, victor viewer, and the token ci operator.
func mustOpen(t *testing.T, change func(*config.API)) *door {
	t.Helper()
	return mustOpenAt(t, time.Now, change)
}

func mustOpenAt(t *testing.T, now func() time.Time, change func(*config.API)) *door {
	t.Helper()
	d := &door{ca: remotetest.New(t, t.TempDir()), log: new(logged)}
	d.ca.Server(t, "daemon")
	cert, key := d.ca.Files("daemon")
	d.conf = config.API{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), TLS: config.APITLS{Cert: cert, Key: key, ClientCA: d.ca.CA(), CRL: d.ca.Revoke(t)},
		Tokens: filepath.Join(d.ca.Dir, "tokens"),
		Roles: []config.RoleOf{
			{Certificate: "alice", Role: config.Admin}, {Certificate: "olga", Role: config.Operator, Services: []string{"world"}},
			{Certificate: "victor", Role: config.Viewer}, {Token: "ci", Role: config.Operator},
		},
	}
	d.writeTokens(t, d.newToken(t, "ci"), d.newToken(t, "unknown"))
	if change != nil {
		change(&d.conf)
	}
	d.Server = remote.New(slog.New(slog.NewTextHandler(d.log, nil)), now)
	d.put(t, d.conf)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- d.Run(ctx, d.daemon()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *door) put(t *testing.T, conf config.API) {
	t.Helper()
	p, err := d.Prepare(&conf)
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
}

// newToken makes a token in NAME.token, and gives its line.
func (d *door) newToken(t *testing.T, name string) string {
	t.Helper()
	token, line, err := remote.NewToken(name)
	if err == nil {
		err = os.WriteFile(filepath.Join(d.ca.Dir, name+".token"), []byte(token+"\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func (d *door) writeTokens(t *testing.T, lines ...string) {
	t.Helper()
	path := filepath.Join(d.ca.Dir, "tokens")
	if err := os.WriteFile(path+".new", []byte("# name hash\n\n"+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (d *door) note(ctx context.Context, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, _ := api.CallerOf(ctx)
	d.asked = append(d.asked, c.String()+" "+what)
}

func (d *door) daemon() *apitest.Fake {
	return &apitest.Fake{
		OnStatus: func(ctx context.Context) (api.Status, error) {
			d.note(ctx, "status")
			return api.Status{
				Services:   []api.Service{{Name: "lobby", Listeners: []api.Listener{{VIP: "192.0.2.2"}}}, {Name: "world", Listeners: []api.Listener{{VIP: "192.0.2.1"}}}},
				VIPs:       []api.VIP{{Address: "192.0.2.1"}, {Address: "192.0.2.2"}},
				Schedule:   []api.Scheduled{{Service: "lobby"}, {Service: "world"}},
				ConfigFile: "/etc/ebbtide/ebbtide.yaml",
			}, nil
		},
		OnFlip: func(ctx context.Context, r api.FlipRequest) (api.FlipResult, error) {
			d.note(ctx, "flip "+r.Service)
			return api.FlipResult{}, nil
		},
		OnFlows: func(ctx context.Context, f api.FlowFilter, _ func(api.Flow) error) error {
			d.note(ctx, "flows "+f.Service)
			return nil
		},
		OnDetach: func(ctx context.Context, _ api.DetachRequest) error { d.note(ctx, "detach"); return nil },
		OnDrain: func(ctx context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
			if err := yield(api.DrainProgress{Service: "world"}); err != nil {
				return err
			}
			<-ctx.Done()
			return context.Cause(ctx)
		},
	}
}

// as is a client of somebody: who has a certificate of that name, or a token in NAME.token.
func (d *door) as(t *testing.T, name string) *api.Client {
	t.Helper()
	s := api.Server{URL: "https://" + d.Addr().String(), CA: d.ca.CA()}
	if name, ok := strings.CutSuffix(name, ".token"); ok {
		s.TokenFile = filepath.Join(d.ca.Dir, name+".token")
	} else if name != "" {
		d.ca.Client(t, name, time.Now().Add(time.Hour))
		s.Cert, s.Key = d.ca.Files(name)
	}
	return d.client(t, s)
}

func (d *door) client(t *testing.T, s api.Server) *api.Client {
	t.Helper()
	c := api.NewRemote(s)
	t.Cleanup(c.Close)
	return c
}

// mustBe checks an error's code; "" is none.
func mustBe(t *testing.T, what string, err error, code api.Code, words string) {
	t.Helper()
	var e *api.Error
	switch {
	case code == "" && err == nil:
	case code == "" || !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, words):
		t.Errorf("%s: got %v, want %q with %q", what, err, code, words)
	}
}

func TestEachCallerMayWhatHisRoleAndServicesSay(t *testing.T) {
	d := mustOpen(t, nil)
	verbs := map[string]func(*api.Client) error{
		"status": func(c *api.Client) error { _, err := c.Status(t.Context()); return err },
		"flip world": func(c *api.Client) error {
			_, err := c.Flip(t.Context(), api.FlipRequest{Service: "world"})
			return err
		},
		"flip lobby": func(c *api.Client) error {
			_, err := c.Flip(t.Context(), api.FlipRequest{Service: "lobby"})
			return err
		},
		"flows ": func(c *api.Client) error { return c.Flows(t.Context(), api.FlowFilter{}, nil) },
		"break": func(c *api.Client) error {
			_, err := c.Flip(t.Context(), api.FlipRequest{Service: "world", Act: api.Act{BreakLock: true}})
			return err
		},
		"detach": func(c *api.Client) error { return c.Detach(t.Context(), api.DetachRequest{}) },
	}
	const may, forbidden, unknown = api.Code(""), api.Forbidden, api.Unauthenticated
	for _, row := range []struct {
		who   string
		codes map[string]api.Code
		words string
	}{
		{"alice", map[string]api.Code{"status": may, "flip world": may, "flip lobby": may, "flows ": may, "break": may, "detach": may}, ""},
		{"olga", map[string]api.Code{"status": may, "flip world": may, "flip lobby": forbidden, "flows ": forbidden, "break": forbidden, "detach": forbidden}, "olga (certificate)"},
		{"victor", map[string]api.Code{"status": may, "flip world": forbidden, "flip lobby": forbidden, "flows ": forbidden, "break": forbidden, "detach": forbidden}, "victor (certificate) is viewer: "},
		{"ci.token", map[string]api.Code{"status": may, "flip world": may, "flip lobby": may, "flows ": may, "break": forbidden, "detach": forbidden}, "ci (token) is operator"},
		{"mallory", map[string]api.Code{"status": forbidden, "flip world": forbidden, "detach": forbidden}, "mallory (certificate) has no role here"},
		{"unknown.token", map[string]api.Code{"status": forbidden, "flip world": forbidden}, "unknown (token) has no role here"},
		{"", map[string]api.Code{"status": unknown, "flip world": unknown}, "show a certificate, or a token"},
	} {
		c := d.as(t, row.who)
		for verb, code := range row.codes {
			before := len(d.asked)
			mustBe(t, row.who+": "+verb, verbs[verb](c), code, row.words)
			if reached := len(d.asked) > before; reached != (code == may) {
				t.Errorf("%s: %s has reached the daemon: %v", row.who, verb, reached)
			}
		}
	}
	if want := "alice (certificate) flip lobby"; !slices.Contains(d.asked, want) {
		t.Errorf("the daemon was not told %q: %q", want, d.asked)
	}
}

func TestAStatusShowsTheCallersServicesOnly(t *testing.T) {
	d := mustOpen(t, nil)
	got, err := d.as(t, "olga").Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Services) != 1 || got.Services[0].Name != "world" || len(got.VIPs) != 1 || got.VIPs[0].Address != "192.0.2.1" || len(got.Schedule) != 1 {
		t.Errorf("got %+v", got)
	}
	if got, err = d.as(t, "victor").Status(t.Context()); err != nil || len(got.Services) != 2 || len(got.VIPs) != 2 || len(got.Schedule) != 2 {
		t.Errorf("who may see all got %+v, %v", got, err)
	}
}

func TestWhoCannotProveHimselfIsNotLetIn(t *testing.T) {
	d := mustOpen(t, nil)
	foreign := remotetest.New(t, t.TempDir())
	foreign.Client(t, "alice", time.Now().Add(time.Hour))
	d.ca.Client(t, "alice", time.Now().Add(-time.Minute))
	status := func(s api.Server) error {
		s.URL, s.CA = "https://"+d.Addr().String(), d.ca.CA()
		_, err := d.client(t, s).Status(t.Context())
		return err
	}
	with := func(a *remotetest.Authority, name string) (s api.Server) {
		s.Cert, s.Key = a.Files(name)
		return s
	}
	mustBe(t, "a foreign authority's certificate", status(with(foreign, "alice")), api.Unavailable, "")
	mustBe(t, "one that has expired", status(with(d.ca, "alice")), api.Unavailable, "")
	d.mustTell(t, "one that has expired", with(d.ca, "alice"), "expired")
	mustBe(t, "a server's", status(with(d.ca, "daemon")), api.Unavailable, "")
	for name, text := range map[string]string{
		"a token that nobody made": "ebbtide_" + strings.Repeat("A", 43), "a password": "hunter2", "the hash itself": "sha256:" + strings.Repeat("0", 64),
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		mustBe(t, name, status(api.Server{TokenFile: path}), api.Unauthenticated, "the token is none that is taken here")
	}
	if len(d.asked) != 0 {
		t.Errorf("the daemon was asked: %q", d.asked)
	}
}

// mustTell checks what a connection is told when it is put out. That comes after the handshake as its client sees it: one that
// writes by then may hear of a broken connection only, so this one just reads.
func (d *door) mustTell(t *testing.T, what string, s api.Server, words string) {
	t.Helper()
	conf := &tls.Config{InsecureSkipVerify: true}
	if s.Cert != "" {
		cert, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	conn, err := tls.Dial("tcp", d.Addr().String(), conf)
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: told %v, want %q", what, err, words)
	}
}

func TestWithoutTokensAConnectionTakesACertificate(t *testing.T) {
	d := mustOpen(t, func(c *config.API) { c.Tokens, c.Roles = "", c.Roles[:3] })
	_, err := d.as(t, "").Status(t.Context())
	mustBe(t, "no certificate", err, api.Unavailable, "")
	d.mustTell(t, "no certificate", api.Server{}, "certificate required")
	_, err = d.as(t, "alice").Status(t.Context())
	mustBe(t, "alice", err, "", "")
}

func TestOnlyTLS13IsSpoken(t *testing.T) {
	d := mustOpen(t, nil)
	_, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	resp, err := http.Get("http://" + d.Addr().String() + "/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", resp.Status)
	}
}

// post sends what a browser would send for a page, with its user's certificate.
func (d *door) post(t *testing.T, head http.Header) *http.Response {
	t.Helper()
	d.ca.Client(t, "alice", time.Now().Add(time.Hour))
	cert, err := tls.LoadX509KeyPair(d.ca.Files("alice"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(d.ca.CA())
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}, DisableKeepAlives: true}}
	r, err := http.NewRequest("POST", "https://"+d.Addr().String()+"/v1/flip", strings.NewReader(`{"service":"world"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = head
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestAPageOfAnotherSiteCannotUseItsVisitorsCertificate(t *testing.T) {
	d := mustOpen(t, nil)
	for _, row := range []struct {
		head   http.Header
		status int
	}{
		{http.Header{"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{http.Header{}, 200}, // no browser
	} {
		if resp := d.post(t, row.head); resp.StatusCode != row.status {
			t.Errorf("%v: %s", row.head, resp.Status)
		}
	}
	if len(d.asked) != 1 {
		t.Errorf("the daemon was asked: %q", d.asked)
	}
}

// certificateOf is the number of the certificate that the daemon shows.
func (d *door) certificateOf(t *testing.T) string {
	t.Helper()
	conn, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// stream is a stream under way of somebody.
func (d *door) stream(t *testing.T, name string) (over <-chan error) {
	t.Helper()
	ended, begun := make(chan error, 1), make(chan struct{})
	c := d.as(t, name)
	go func() {
		first := sync.OnceFunc(func() { close(begun) })
		ended <- c.WatchDrain(t.Context(), api.DrainRequest{Service: "world"}, func(api.DrainProgress) error { first(); return nil })
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatalf("%s: the stream did not begin: %v", name, err)
	}
	return ended
}

func TestARenewedCertificateIsShownWithoutARestartAndCutsNobody(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	over := d.stream(t, "victor")
	before := d.certificateOf(t)
	renewed := d.ca.Server(t, "daemon").SerialNumber.String()
	eventually(t, "the new certificate", func() bool { return d.certificateOf(t) == renewed })
	if before == renewed {
		t.Fatal("it is the same")
	}
	select {
	case err := <-over:
		t.Errorf("a stream under way has ended: %v", err)
	default:
	}
}

func TestFilesThatCannotBeUsedChangeNothing(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	before := d.certificateOf(t)
	cert, key := d.ca.Files("daemon")
	for _, spoil := range []func() error{
		func() error { return os.WriteFile(cert, []byte("half"), 0o644) },
		func() error { return os.Chmod(key, 0o644) },
		func() error { return os.Remove(key) },
	} {
		said := strings.Count(d.log.String(), "goes on with the files as they were")
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the log to tell", func() bool {
			return strings.Count(d.log.String(), "goes on with the files as they were") > said
		})
		if now := d.certificateOf(t); now != before {
			t.Errorf("certificate %s, before it %s", now, before)
		}
		conf := d.conf
		if _, err := d.Prepare(&conf); err == nil {
			t.Error("a reload takes them")
		}
	}
}

// A stolen certificate or token is good until somebody takes it back, and then at once: what is under way ends, too.
func TestWhoIsTakenBackIsOutAtOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, who string
		take      func(*testing.T, *door)
		code      api.Code
		words     string
	}{
		{"a certificate on the list", "victor", func(t *testing.T, d *door) {
			cert, _ := d.ca.Files("victor")
			text, err := os.ReadFile(cert)
			if err != nil {
				t.Fatal(err)
			}
			d.ca.Revoke(t, mustParse(t, text))
		}, api.Unauthenticated, "is taken back"},
		{"a token that is gone from the file", "ci.token", func(t *testing.T, d *door) { d.writeTokens(t, "") }, api.Unauthenticated, "none that is taken here"},
		{"a role that the configuration no longer has", "victor", func(t *testing.T, d *door) {
			conf := d.conf
			conf.Roles = conf.Roles[:2]
			d.put(t, conf)
		}, api.Forbidden, "no role"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := mustOpen(t, nil)
			over := d.stream(t, row.who)
			// His connection stays open: what he proved when it began is asked anew.
			s := api.Server{URL: "https://" + d.Addr().String(), CA: d.ca.CA()}
			if name, ok := strings.CutSuffix(row.who, ".token"); ok {
				s.TokenFile = filepath.Join(d.ca.Dir, name+".token")
			} else {
				s.Cert, s.Key = d.ca.Files(row.who)
			}
			c := d.client(t, s)
			_, err := c.Status(t.Context())
			mustBe(t, "before", err, "", "")
			row.take(t, d)
			mustBe(t, "the stream", <-over, api.Unavailable, "who gets in has changed")
			_, err = c.Status(t.Context())
			mustBe(t, "after", err, row.code, row.words)
		})
	}
}

func mustParse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAReloadMovesClosesAndOpensIt(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	old := d.Addr().String()
	conf := d.conf
	conf.Listen = netip.MustParseAddrPort("127.0.0.2:0")
	d.put(t, conf)
	eventually(t, "the old address to be closed", func() bool { _, err := net.Dial("tcp", old); return err != nil })
	_, err := d.as(t, "").Status(t.Context())
	mustBe(t, "the new address", err, api.Unauthenticated, "")
	moved := d.Addr().String()
	p, err := d.Prepare(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
	eventually(t, "it to be closed", func() bool { _, err := net.Dial("tcp", moved); return err != nil })
	d.put(t, d.conf)
	_, err = d.as(t, "").Status(t.Context())
	mustBe(t, "opened again", err, api.Unauthenticated, "")

	busy, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	conf.Listen = netip.MustParseAddrPort(busy.Addr().String())
	if _, err := d.Prepare(&conf); err == nil || !strings.Contains(err.Error(), "api.listen: ") {
		t.Errorf("an address that is taken: %v", err)
	}
	_, err = d.as(t, "").Status(t.Context())
	mustBe(t, "after a refusal", err, api.Unauthenticated, "")
}

func TestAnAddressThatWasLostIsTakenAgain(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	lost := d.Addr().String()
	d.Break()
	eventually(t, "another listener", func() bool { at := d.Addr(); return at != nil && at.String() != lost })
	_, err := d.as(t, "").Status(t.Context())
	mustBe(t, "the new listener", err, api.Unauthenticated, "")
}

func TestAnAddressThatIsLeftBeforeItIsServedIsClosed(t *testing.T) {
	t.Parallel()
	d := &door{conf: mustOpen(t, nil).conf, Server: remote.New(slog.New(slog.DiscardHandler), time.Now)} // nobody runs it
	d.put(t, d.conf)
	left := d.Addr().String()
	conf := d.conf
	conf.Listen = netip.MustParseAddrPort("127.0.0.2:0")
	d.put(t, conf)
	moved := d.Addr().String()
	p, err := d.Prepare(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
	for _, addr := range []string{left, moved} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

func TestNobodyMayAskAllTheTime(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	d := mustOpenAt(t, func() time.Time { return begun }, nil)
	c, other := d.as(t, "victor"), d.as(t, "alice")
	var last error
	for range 101 { // one more than a burst, while the clock stands
		if _, last = c.Status(t.Context()); last != nil {
			break
		}
	}
	mustBe(t, "victor", last, api.TooMany, "victor (certificate) asks more than")
	_, err := other.Status(t.Context())
	mustBe(t, "alice", err, "", "")
}

func TestNobodyMayHaveAllThatIsUnderWay(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	for range 16 {
		d.stream(t, "victor")
	}
	err := d.as(t, "victor").WatchDrain(t.Context(), api.DrainRequest{Service: "world"}, nil)
	mustBe(t, "one more", err, api.TooMany, "under way")
	_, err = d.as(t, "alice").Status(t.Context())
	mustBe(t, "alice", err, "", "")
}

func TestConnectionsOfOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	// Those that are let in wait for a handshake, and are put out for that seconds later. One that is not let in is closed at once.
	const each, all = 32, 40 // fewer than one may begin at once
	closed := make(chan int, all)
	for i := range all {
		conn, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("connection %d said something first", i)
			}
			closed <- i
		}()
	}
	if first := <-closed; first < each {
		t.Errorf("%d connections of one address are open until the end of number %d", all, first)
	}
}

// answered says whether a new connection from an address is answered at all. It waits for its end: by then its slot is free again,
// so that how many are open at a time does not matter.
func (d *door) answered(t *testing.T, from string) bool {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// Without TLS it is told so, and the connection ends. An error is that of one which was closed at once.
	_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
	text, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return len(text) > 0
}

func TestAnAddressMayBeginSoManyConnectionsASecond(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	var later atomic.Int64
	d := mustOpenAt(t, func() time.Time { return begun.Add(time.Duration(later.Load())) }, nil)
	count := func(from string, tries int) (n int) {
		for range tries {
			if d.answered(t, from) {
				n++
			}
		}
		return n
	}
	if n := count("127.0.0.1", 60); n != 50 {
		t.Errorf("while the clock stands %d connections of one address are answered, want a burst of 50", n)
	}
	if n := count("127.0.0.2", 1); n != 1 {
		t.Error("another address is refused with it")
	}
	later.Store(int64(time.Second))
	if n := count("127.0.0.1", 20); n != 10 {
		t.Errorf("a second later %d more, want 10", n)
	}
}

// Whoever says nothing is not waited for, in the handshake and after it.
func TestWhoSaysNothingIsPutOut(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	plain, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	shaken, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer shaken.Close()
	fmt.Fprint(shaken, "POST /v1/flip HTTP/1.1\r\nHost: ")
	for _, conn := range []net.Conn{plain, shaken} {
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
}

// What strangers send does not fill the log, and nothing of a token is in it.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, nil)
	token := "ebbtide_" + strings.Repeat("Z", 43)
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	c := d.client(t, api.Server{URL: "https://" + d.Addr().String(), CA: d.ca.CA(), TokenFile: path})
	codes := map[api.Code]int{}
	for range 300 {
		_, err := c.Status(t.Context())
		var e *api.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		codes[e.Code]++
	}
	if codes[api.TooMany] == 0 || codes[api.Unauthenticated] == 0 {
		t.Errorf("got %v", codes)
	}
	text := d.log.String()
	if n := strings.Count(text, "refused on the remote API"); n == 0 || n >= 300 {
		t.Errorf("%d lines", n)
	}
	if strings.Contains(text, token) || strings.Contains(text, "ZZZZ") {
		t.Error("the token is in the log")
	}
}

// Whoever takes a lost address again takes it for a configuration that a reload may replace meanwhile.
func TestAReloadIsNotUndoneByAnAddressThatIsTakenAgain(t *testing.T) {
	t.Parallel()
	d := &door{conf: mustOpen(t, nil).conf, Server: remote.New(slog.New(slog.DiscardHandler), time.Now)} // nobody runs it
	d.put(t, d.conf)
	d.Lose()
	again := d.Again()
	conf := d.conf
	conf.Listen = netip.MustParseAddrPort("127.0.0.2:0")
	d.put(t, conf)
	moved := d.Addr().String()
	again()
	if at := d.Addr().String(); at != moved {
		t.Errorf("it answers at %s, want %s", at, moved)
	}
	d.Lose()
	d.Again()()
	if at := d.Addr(); at == nil || !strings.HasPrefix(at.String(), "127.0.0.2:") {
		t.Errorf("it was taken again at %v", at)
	}
}
