package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/remote"
	"github.com/ebbtide/ebbtide/internal/remote/remotetest"
)

// mustAnswer is a daemon on the network, where victor is viewer by certificate and ci by the token that the verb made.
func mustAnswer(t *testing.T, daemon *apitest.Fake) (url string, ca *remotetest.Authority) {
	t.Helper()
	ca = remotetest.New(t, t.TempDir())
	ca.Server(t, "daemon")
	ca.Client(t, "victor", time.Now().Add(time.Hour))
	tokens := filepath.Join(ca.Dir, "tokens")
	out, code := invoke(t, "/nowhere", nil, "token", "ci", "--to", filepath.Join(ca.Dir, "ci.token"))
	if code != exitDone {
		t.Fatal(out)
	}
	line := strings.Split(out, "\n")[1]
	if err := os.WriteFile(tokens, []byte(line+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	conf := &config.API{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Tokens: tokens,
		Roles: []config.RoleOf{{Certificate: "victor", Role: config.Viewer}, {Token: "ci", Role: config.Operator}},
	}
	conf.TLS.Cert, conf.TLS.Key = ca.Files("daemon")
	conf.TLS.ClientCA = ca.CA()
	srv := remote.New(slog.New(slog.DiscardHandler), time.Now)
	p, err := srv.Prepare(conf)
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- srv.Run(ctx, daemon) }()
	t.Cleanup(func() { cancel(); <-over })
	return "https://" + srv.Addr().String(), ca
}

func TestADaemonOnTheNetworkIsAsked(t *testing.T) {
	url, ca := mustAnswer(t, &apitest.Fake{
		OnStatus: func(context.Context) (api.Status, error) { return api.Status{}, nil },
		OnReload: func(context.Context, api.ReloadRequest) (api.Plan, error) { return api.Plan{}, nil },
	})
	cert, key := ca.Files("victor")
	token := filepath.Join(ca.Dir, "ci.token")
	world := func(mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		name, verb, flags string
		code              int
		says              string
	}{
		{"by certificate", "status", "--cert " + cert + " --cert-key " + key, exitDone, ""},
		{"by token", "reload", "--token-file " + token, exitDone, "no changes"},
		{"a verb above the role", "reload", "--cert " + cert + " --cert-key " + key, exitFailed, "ebbtide: reload: victor (certificate) is viewer: /v1/reload takes operator\n"},
		{"as nobody", "status", "", exitFailed, "ebbtide: status: show a certificate, or a token that is taken here\n"},
		{"a token that others can read", "status", "--token-file " + world(0o644), exitFailed, "want a file that only you can read (chmod 0600)"},
		{"a token that is none", "status", "--token-file " + world(0o600), exitFailed, "the token is none that is taken here"},
		{"a file that is not there", "status", "--cert /nowhere --cert-key " + key, exitFailed, "ebbtide: status: ask a daemon on the network: open /nowhere: no such file or directory\n"},
		{"an address without TLS", "status", "--server http://127.0.0.1:1", exitFailed, "want an address such as https://lb1.example:9596"},
		{"nobody there", "status", "--server https://127.0.0.1:1", exitNoDaemon, "ebbtide: status: ask the daemon at https://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n"},
		{"nobody there to detach", "detach", "--server https://127.0.0.1:1", exitNoDaemon, "ask the daemon at"}, // not this host's
	} {
		t.Run(row.name, func(t *testing.T) {
			args := strings.Fields(row.verb + " --server " + url + " --ca " + ca.CA() + " " + row.flags)
			out, code := invoke(t, "/nowhere", nil, args...)
			if code != row.code || !strings.Contains(out, row.says) {
				t.Errorf("exit code %d, want %d, and %q in\n%s", code, row.code, row.says, out)
			}
		})
	}
	t.Run("by the environment", func(t *testing.T) {
		vars := map[string]string{"EBBTIDE_SERVER": url, "EBBTIDE_CA": ca.CA(), "EBBTIDE_TOKEN_FILE": token}
		out, code := invoke(t, "/nowhere", func(e *env) { e.getenv = func(key string) string { return vars[key] } }, "reload")
		if code != exitDone {
			t.Error(out)
		}
	})
	t.Run("an authority that is another", func(t *testing.T) {
		other := remotetest.New(t, t.TempDir())
		out, code := invoke(t, "/nowhere", nil, "status", "--server", url, "--ca", other.CA(), "--token-file", token)
		if code != exitNoDaemon || !strings.Contains(out, "certificate signed by unknown authority") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	})
}

func TestATokenIsWrittenOnceAndNeverShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ci.token")
	out, code := invoke(t, "/nowhere", nil, "token", "ci", "--to", path)
	token, err := os.ReadFile(path)
	if err != nil || code != exitDone {
		t.Fatal(err, out)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if strings.Contains(out, strings.TrimSpace(string(token))) || !strings.Contains(out, "\nci sha256:") {
		t.Errorf("printed:\n%s", out)
	}
	if out, code := invoke(t, "/nowhere", nil, "token", "ci", "--to", path); code != exitFailed || !strings.Contains(out, "file exists") {
		t.Errorf("again: exit code %d:\n%s", code, out)
	}
	for _, args := range []string{"token ci", "token --to x", "token a#b --to x"} {
		if out, code := invoke(t, "/nowhere", nil, strings.Fields(args)...); code != exitUsage {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	}
}
