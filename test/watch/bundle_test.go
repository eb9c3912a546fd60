package watch

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
)

const secret = "hunter2-in-a-file"

// A daemon that has seen players, testers, an eviction and hooks with secrets gives a bundle in which none of them is.
func TestABundleHasNoSecretAndNoClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secretFile := filepath.Join(dir, "secret")
	if err := os.WriteFile(secretFile, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hooks := `{verify: [{exec: [/bin/sh, -c, "echo hunter2-as-an-argument; echo 198.51.100.77 hunter2-printed"], retries: 0},` +
		` {webhook: {url: "http://127.0.0.1:1/h?key=hunter2-in-a-query", secret_file: ` + secretFile + `}, retries: 0}]}`
	s := mustStage(t, "{bake: 10m, testers: [203.0.113.64/26], hooks: "+hooks+"}", "# hunter2-in-a-comment")
	v4, v6, err := s.lab.ClientAddresses(4)
	if err != nil {
		t.Fatal(err)
	}
	s.fleet.Add(t.Context(), 2, game.Role{Endpoints: s.endpoints, From: v4[:2]})
	s.fleet.Exchange(1)
	client := s.host.Client
	if _, err := client.Testers(t.Context(), api.TestersRequest{Service: service, Add: []string{v4[2].String()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Lock(t.Context(), api.LockRequest{Service: service, Act: api.Act{Reason: "wait for " + v4[3].String() + " and " + v6[0].String()}, ForSeconds: 60}); err != nil {
		t.Fatal(err)
	}
	if err := client.Unlock(t.Context(), api.UnlockRequest{Service: service}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Release(t.Context(), api.ReleaseRequest{Service: service, Do: api.ReleaseStart}); err != nil {
		t.Fatal(err)
	}
	s.awaitRelease(t, "failed") // its webhook is not there

	clients := append([]netip.Addr{netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("203.0.113.64")}, append(v4, v6...)...)
	masked, err := client.SupportBundle(t.Context(), api.SupportBundleRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all := textOf(masked)
	for _, a := range clients {
		if strings.Contains(all, a.String()) {
			t.Errorf("client %s is in the bundle: …%s…", a, around(all, a.String()))
		}
	}
	mustHaveNoSecret(t, all)
	for _, want := range []string{
		s.endpoints[0].Addr.Addr().String(), s.lab.Backends[0].V4.String(), `"act":"release"`, `"flows4"`, `"verified_instructions"`,
		"level=INFO msg=release", "/bin/sh", `"state": "failed"`, "address-",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the bundle has no %s", want)
		}
	}
	whole, err := client.SupportBundle(t.Context(), api.SupportBundleRequest{Addresses: true})
	if err != nil {
		t.Fatal(err)
	}
	all = textOf(whole)
	for _, a := range []netip.Addr{v4[2], v4[3], v6[0]} {
		if !strings.Contains(all, a.String()) {
			t.Errorf("%s is not in the bundle that was to have addresses", a)
		}
	}
	mustHaveNoSecret(t, all)
}

func mustHaveNoSecret(t *testing.T, all string) {
	t.Helper()
	if strings.Contains(all, "hunter2") {
		t.Errorf("a secret is in the bundle: …%s…", around(all, "hunter2"))
	}
	if strings.Contains(all, "not to be had") || strings.Contains(all, "left out") {
		t.Errorf("a file is missing: …%s…", around(all, "not to be had"))
	}
}

func textOf(b api.SupportBundle) string {
	var out strings.Builder
	for _, f := range b.Files {
		out.WriteString("== " + f.Name + "\n" + f.Text)
	}
	return out.String()
}

// around is what stands around a word.
func around(text, word string) string {
	at := max(0, strings.Index(text, word))
	return text[max(0, at-120):min(len(text), at+120)]
}
