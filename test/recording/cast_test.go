package recording

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestARecordingIsWhatAProgramWroteOnItsTerminal(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `test -t 1 && printf 'one\ntwo\rTWO ' && printf '\033[34mblue\033[0m █ ░\n'`)
	c, err := Record(cmd, "show it", 40, 5)
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseCast(data)
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(data), "\n"); first != `{"version":2,"width":40,"height":5,"title":"show it","idle_time_limit":1}` {
		t.Errorf("the header is %s", first)
	}
	frames := again.frames()
	last := frames[len(frames)-1].rows
	for y, want := range []string{"$ show it", "one", "TWO blue █ ░", "", ""} {
		if got := last[y].String(); got != want {
			t.Errorf("line %d is %q, want %q", y, got, want)
		}
	}
	if svg := string(again.Play()); !strings.Contains(svg, `TWO <tspan class="b">blue</tspan> █ ░</text>`) {
		t.Errorf("the picture has no coloured line:\n%s", svg)
	}
}

func TestACommandThatFailsIsNoRecording(t *testing.T) {
	t.Parallel()
	if _, err := Record(exec.Command("sh", "-c", "echo so far; exit 3"), "", 40, 5); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the error is %v", err)
	}
}

func TestASilenceIsNotPlayedToItsEnd(t *testing.T) {
	t.Parallel()
	c := Cast{Width: 20, Height: 2, Events: []Event{{0, "a"}, {30, "b"}, {30.5, "\r"}, {30.5, "c"}}}
	var times []float64
	for _, f := range c.frames() {
		times = append(times, f.at)
	}
	if want := []float64{0, 1, 1.5}; !slices.Equal(times, want) {
		t.Errorf("shown at %v, want %v", times, want)
	}
}

func TestACharacterIsNeverSplit(t *testing.T) {
	t.Parallel()
	text := []byte("a█░é")
	for n := range len(text) + 1 {
		whole, rest := characters(text[:n])
		if !utf8.Valid(whole) || !bytes.Equal(append(bytes.Clone(whole), rest...), text[:n]) {
			t.Errorf("of the first %d bytes: %q and %q", n, whole, rest)
		}
	}
}

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	t.Parallel()
	const head = `{"version":2,"width":80,"height":24,"title":""}` + "\n"
	for text, want := range map[string]string{
		"":                             "header",
		`{"version":1,"width":80}`:     "version 1",
		head + `[1, "i", "typed"]`:     `"i"`,
		head + `[1, "o"`:               "line 2",
		head + `["soon", "o", "text"]`: "line 2",
	} {
		if _, err := ParseCast([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (`make recording` makes it)", err)
	}
	return data
}
