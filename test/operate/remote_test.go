package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/remote/remotetest"
	"github.com/ebbtide/ebbtide/test/lab"
)

// remotely is the configuration with the remote API on the load balancer's loopback.
func remotely(ca *remotetest.Authority, roles string) string {
	cert, key := ca.Files("daemon")
	return fmt.Sprintf("api: {listen: \"127.0.0.1:9596\", tls: {cert: %s, key: %s, client_ca: %s}, tokens: %s, roles: [%s]}\n",
		cert, key, ca.CA(), filepath.Join(ca.Dir, "tokens"), roles)
}

// over runs a verb on the load balancer, over its loopback.
func (s *stage) over(t *testing.T, ca *remotetest.Authority, flags string, args ...string) result {
	t.Helper()
	v := s.newVerb(append(args, append(strings.Fields(flags), "--server", "https://127.0.0.1:9596", "--ca", ca.CA())...)...)
	if err := s.lab.LB.Start(v.cmd); err != nil {
		t.Fatal(err)
	}
	v.follow(t)
	return v.end(t)
}

// The real daemon on the network: off at first, on by a reload; who acts is in the journal as he has proved himself, and none of
// the secrets that it took is to be found anywhere.
func TestTheRemoteAPIIsOffThenAuditedAndKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	d := s.mustRun(t)
	dir := t.TempDir()
	ca := remotetest.New(t, dir)
	ca.Server(t, "daemon")
	ca.Client(t, "olga", time.Now().Add(time.Hour))
	cert, key := ca.Files("olga")
	olga := "--cert " + cert + " --cert-key " + key
	token := filepath.Join(dir, "ci.token")
	line := s.do(t, "token", "ci", "--to", token)
	line.mustBe(t, 0, "ci sha256:…\n", "")
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte(line.stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	s.over(t, ca, olga, "status").mustBe(t, 6, "", "…connection refused\n")

	const roles = "{certificate: olga, role: operator, services: [world]}, {token: ci, role: viewer}"
	s.configure(t, remotely(ca, roles)+s.yaml())
	s.do(t, "plan").mustBe(t, 0, "…the remote API listens on 127.0.0.1:9596\n", "")
	s.do(t, "reload").mustBe(t, 0, "…the remote API listens on 127.0.0.1:9596\n", "")
	s.login(t, "blue")
	s.over(t, ca, olga, "flip", "world", "--reason", "2.0 is good").mustBe(t, 0, "…", "")
	s.login(t, "green")
	e := s.mustEnd(t, "flip", journal.Done)
	if e.Actor.User != "olga" || e.Actor.Via != api.ByCertificate || e.Actor.Serial == "" || !strings.HasPrefix(e.Actor.From, "127.0.0.1:") || e.Actor.UID == 0 || e.Actor.Daemon {
		t.Errorf("the journal says that %+v flipped", e.Actor)
	}
	s.do(t, "history", "world").mustBe(t, 0, "…olga (certificate)…", "")
	before := len(s.history(t, api.HistoryRequest{}))
	s.over(t, ca, "--token-file "+token, "status").mustBe(t, 0, "…", "")
	s.over(t, ca, "--token-file "+token, "rollback", "world").mustBe(t, 1, "", "…ci (token) is viewer: /v1/rollback takes operator\n")
	s.over(t, ca, olga, "reload").mustBe(t, 1, "", "…olga (certificate) may ask for the services world only: name one\n")
	s.over(t, ca, "", "status").mustBe(t, 1, "", "…show a certificate, or a token that is taken here\n")
	if after := len(s.history(t, api.HistoryRequest{})); after != before {
		t.Errorf("what was refused made %d events", after-before)
	}
	s.mustKeepSecrets(t, d, token, key, filepath.Join(dir, "daemon.key"))

	broken := strings.Replace(remotely(ca, roles), "daemon.key", "nowhere.key", 1)
	s.configure(t, broken+s.yaml())
	s.do(t, "reload").mustBe(t, 5, "", "…api.tls.key: open "+dir+"/nowhere.key: no such file or directory\n")
	s.over(t, ca, olga, "status").mustBe(t, 0, "…", "")
	s.configure(t, s.yaml())
	s.do(t, "reload").mustBe(t, 0, "…the remote API on 127.0.0.1:9596 is closed\n", "")
	lab.Eventually(t, "the remote API to be closed", func() bool { return s.over(t, ca, olga, "status").code == 6 })
}

// mustKeepSecrets looks for what is in files wherever somebody else could see it.
func (s *stage) mustKeepSecrets(t *testing.T, d *verb, files ...string) {
	t.Helper()
	seen := map[string]string{"the log": d.stdout.String() + d.stderr.String(), "status": s.do(t, "status", "-o", "json").stdout}
	bundle, err := s.host.Client.SupportBundle(t.Context(), api.SupportBundleRequest{Addresses: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range bundle.Files {
		seen["the support bundle's "+f.Name] = f.Text
	}
	proc := fmt.Sprintf("/proc/%d/", d.cmd.Process.Pid)
	paths := []string{proc + "cmdline", proc + "environ"}
	err = filepath.WalkDir(s.host.Options().StateDir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seen[path] = string(text)
	}
	for _, file := range files {
		secret, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(secret)), "\n")
		for where, text := range seen {
			if needle := lines[len(lines)/2]; strings.Contains(text, needle) { // of a key: a line of its numbers
				t.Errorf("%s is in %s", filepath.Base(file), where)
			}
		}
	}
}
