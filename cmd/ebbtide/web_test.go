package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/web"
)

// idle is a daemon that answers, and nothing more.
func idle() *apitest.Fake {
	return &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) { return api.Status{}, nil }}
}

func TestWebWithoutAPage(t *testing.T) {
	check(t, "web", []row{
		{name: "no page", args: "web", daemon: idle(), code: exitRefused},
		{name: "an argument", args: "web now", code: exitUsage},
		{name: "no daemon", args: "web", code: exitNoDaemon},
	})
}

func TestWebPrintsTheAddressWithItsToken(t *testing.T) {
	socket, _ := apitest.Serve(t, idle())
	if err := os.WriteFile(web.AccessFile(socket), []byte(`{"address":"127.0.0.1:8080","token":"SECRET"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, args := range [][]string{{"web"}, {"web", "-o", "json"}} {
		out, _ := invoke(t, socket, nil, args...)
		all.WriteString(out)
	}
	mustMatch(t, filepath.Join("testdata", "web", "served.txt"), all.String())
}
