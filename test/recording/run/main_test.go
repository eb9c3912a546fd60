package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ebbtide/ebbtide/test/recording"
)

// The demo of today can be recorded, and its pictures drawn: it says what they are read from.
func TestTheDemoIsRecorded(t *testing.T) {
	out := t.TempDir()
	if err := run(func() (recording.Cast, error) { return record(t.Context(), "../../..") }, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, "demo.cast"))
	if err != nil {
		t.Fatal(err)
	}
	cast, err := recording.ParseCast(data)
	if err != nil {
		t.Fatal(err)
	}
	tide, err := recording.TideOf(cast)
	if err != nil {
		t.Fatal(err)
	}
	last := tide.Samples[len(tide.Samples)-1]
	if tide.Players != 400 || tide.Broken != 0 || last.Blue != 0 || last.Green != 400 {
		t.Errorf("players %d, broken %d, and at the end %+v", tide.Players, tide.Broken, last)
	}
	for _, picture := range []string{"demo.svg", "tide.svg"} {
		if _, err := os.Stat(filepath.Join(out, picture)); err != nil {
			t.Error(err)
		}
	}
}
