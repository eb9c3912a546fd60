package sign

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An example that anyone can work out.
func TestTheSignatureIsThatOfTheTimeAndTheBody(t *testing.T) {
	timestamp, signature := Sign([]byte("secret"), []byte(`{"a":1}`), time.Unix(1772373600, 0))
	const want = "sha256=5c4cad762e8947e822e16a73eb1e2237697c70778de806e5da61cec83e13af19"
	if timestamp != "1772373600" || signature != want {
		t.Errorf("%s %s", timestamp, signature)
	}
}

func mustSecret(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASecretThatIsNoneIsRefused(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ path, says string }{
		{mustSecret(t, "abc", 0o640), "has mode 0640, so others have access to it: chmod 0600"},
		{mustSecret(t, "abc", 0o604), "has mode 0604"},
		{mustSecret(t, "\n", 0o600), "is empty"},
		{mustSecret(t, strings.Repeat("x", maxSecret+1), 0o600), "longer than 4 KiB"},
		{filepath.Join(t.TempDir(), "none"), "no such file"},
		{t.TempDir(), "is no file"},
		{pipe, "is no file"},
	} {
		h := http.Header{}
		if err := Header(h, row.path, nil, time.Now()); err == nil || !strings.Contains(err.Error(), row.says) || len(h) != 0 {
			t.Errorf("got %v and %v, want %q", err, h, row.says)
		}
	}
}
