package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// bundling answers with a bundle of one file, masked unless it is asked for addresses.
func bundling() *apitest.Fake {
	return &apitest.Fake{OnBundle: func(_ context.Context, req api.SupportBundleRequest) (api.SupportBundle, error) {
		return api.SupportBundle{Version: "v0.1.0", Made: noon, Masked: !req.Addresses, Files: []api.BundleFile{{Name: "status.json", Text: "{}\n"}}}, nil
	}}
}

func TestSupportBundle(t *testing.T) {
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, r := range []row{
		{name: "masked", args: "support-bundle", daemon: bundling()},
		{name: "there already", args: "support-bundle", daemon: bundling(), code: exitFailed},
		{name: "with addresses", args: "support-bundle --addresses --file all.tar.gz", daemon: bundling()},
		{name: "no daemon", args: "support-bundle", code: exitNoDaemon},
		{name: "too much", args: "support-bundle world", code: exitUsage},
	} {
		socket := "none"
		if r.daemon != nil {
			socket, _ = apitest.Serve(t, r.daemon)
		}
		out, code := invoke(t, socket, nil, strings.Fields(r.args)...)
		if code != r.code {
			t.Errorf("%s: exit code %d, want %d", r.name, code, r.code)
		}
		mustMatch(t, filepath.Join(golden, "support-bundle", strings.ReplaceAll(r.name, " ", "-")+".txt"), strings.ReplaceAll(out, socket, "SOCKET"))
	}
	files := mustUnpack(t, "ebbtide-support-20260301T120000Z.tar.gz")
	if files["ebbtide-support/status.json"] != "{}\n" || len(files) != 2 {
		t.Errorf("the bundle has %q", files)
	}
	info, err := os.Stat("all.tar.gz")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: a bundle is for its owner alone", info.Mode(), err)
	}
}

// mustUnpack gives the files of a bundle by their names.
func mustUnpack(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}
