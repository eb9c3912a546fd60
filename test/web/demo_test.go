package web

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

var (
	address  = regexp.MustCompile(`the tide: (http://[^/]+)/#(\S+)`)
	farewell = regexp.MustCompile(`players (\d+) · broken (\d+)`)
)

// `make demo UI=1` prints an address of this host, at which the page flips what runs in the demo's namespaces.
func TestTheDemoStaysAndItsPageFlipsIt(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../demo").CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v\n%s", err, out)
	}
	demo := exec.Command(binary, "-ui")
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	demo.Stderr = os.Stderr
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demo.Process.Kill() }) // it may have ended
	lines := bufio.NewScanner(out)
	say := func(what *regexp.Regexp) []string {
		t.Helper()
		for lines.Scan() {
			if found := what.FindStringSubmatch(lines.Text()); found != nil {
				return found
			}
		}
		t.Fatalf("the demo never said %s: %v", what, lines.Err())
		return nil
	}
	found := say(address)
	at, token := found[1], found[2]
	call := func(method, path, body string, into any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, at+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(text, into) != nil {
			t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, text, err)
		}
	}
	var flipped api.FlipResult
	call("POST", "/v1/flip", `{"service": "world", "to": "green"}`, &flipped)
	if flipped.Live.Colour != "green" || flipped.NewOnOld != 0 || flipped.SessionsOnOld == 0 {
		t.Errorf("the flip: %+v", flipped)
	}
	lab.Eventually(t, "the newcomers to be on green, and some to have left blue", func() bool {
		var st api.Status
		call("GET", "/v1/status", "", &st)
		blue, green := st.Services[0].Generations[0].Sessions.Total, st.Services[0].Generations[1].Sessions.Total
		return green > 20 && blue < flipped.SessionsOnOld
	})
	if err := demo.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got := say(farewell); got[2] != "0" {
		t.Errorf("the demo ends with %s", got[0])
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo: %v", err)
	}
}
