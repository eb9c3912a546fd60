package state

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func mustOpen(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func mustSave(tb testing.TB, s *Store, st State) {
	tb.Helper()
	if err := s.Save(st); err != nil {
		tb.Fatal(err)
	}
}

func mustWrite(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func mustLoad(tb testing.TB, s *Store) State {
	tb.Helper()
	st, err := s.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// flipped is a state after revision acts.
func flipped(revision uint64) State {
	return State{
		Revision: revision,
		Salt:     1<<64 - 1,
		Services: map[string]Service{"world": {
			Live: 2, Previous: 1, NextGeneration: 4,
			Generations: []Generation{{1, "", "1.8"}, {2, "blue", "1.9"}, {3, "green", "2.0"}},
			Testers:     []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::7/128")},
			Share:       &Share{3, 500, time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC), 7, 1<<64 - 1},
			Lock:        &Lock{"ops", "tournament", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 16, 0, 0, 0, time.UTC)},
		}},
	}
}

func TestWhatWasSavedIsLoadedAfterAReboot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s := mustOpen(t, dir)
	mustSave(t, s, flipped(1))
	mustSave(t, s, flipped(2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := mustLoad(t, mustOpen(t, dir)), flipped(2); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestAMachineThatNeverRanHasTheZeroState(t *testing.T) {
	if got := mustLoad(t, mustOpen(t, t.TempDir())); !reflect.DeepEqual(got, State{}) {
		t.Fatalf("got %+v", got)
	}
}

func TestAnyValidStateComesBackAsItWas(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(0, 5).Draw(t, "generations")
		service := Service{NextGeneration: n + 1}
		for i := range n {
			version := rapid.String().Draw(t, "version")
			service.Generations = append(service.Generations, Generation{Number: i + 1, Version: strings.ToValidUTF8(version, "")})
			service.Live, service.Previous = i+1, i
		}
		want := State{Revision: rapid.Uint64().Draw(t, "revision"), Salt: rapid.Uint64().Draw(t, "salt"), Services: map[string]Service{"w": service}}
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Load(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestAKillInTheMiddleOfASaveLeavesTheOldState(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustSave(t, s, flipped(1))
	s.Close()
	mustWrite(t, filepath.Join(dir, tempName), `{"format": 1, "revision": 2, "serv`)

	s = mustOpen(t, dir)
	if got := mustLoad(t, s); !reflect.DeepEqual(got, flipped(1)) {
		t.Fatalf("got %+v", got)
	}
	mustSave(t, s, flipped(3))
	if got := mustLoad(t, s); !reflect.DeepEqual(got, flipped(3)) {
		t.Fatalf("got %+v", got)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("left behind: %q, %v", files, err)
	}
}

func TestADamagedFileIsAnErrorThatSaysWhatToDo(t *testing.T) {
	const advice = ": put a sound copy back, or move it away to start with blue live in every service"
	for name, row := range map[string]struct{ text, want string }{
		"an empty file":                    {"", "damaged: unexpected end of JSON input" + advice},
		"half a file":                      {`{"format": 1, "revision"`, "damaged: unexpected end of JSON input" + advice},
		"two files in one":                 {`{"format": 1}{}`, "damaged: invalid character '{' after top-level value" + advice},
		"a field nobody writes":            {`{"format": 1, "colour": "red"}`, `damaged: json: unknown field "colour"` + advice},
		"no format":                        {`{}`, "damaged: format 0 is unknown" + advice},
		"a format of the future":           {`{"format": 2, "tides": []}`, "format 2 is of a newer ebbtide, this one knows 1: run the newer one"},
		"a live generation that is gone":   {service(`"live": 1, "next_generation": 2`), `damaged: service "w": the live generation is not listed` + advice},
		"a number that will be used again": {service(`"live": 2, "next_generation": 2`), `damaged: service "w": next generation 2 is not over live 2 and previous 0` + advice},
		"a generation that is twice there": {service(`"next_generation": 2, "generations": [{"number": 1}, {"number": 1}]`), `damaged: service "w": generation 1 is listed twice` + advice},
		"a generation without a number":    {service(`"next_generation": 2, "generations": [{"version": "2.0"}]`), `damaged: service "w": generation 0 is not between 0 and the next one, 2` + advice},
		"two generations in one slot": {service(`"next_generation": 3, "generations": [{"number": 1, "colour": "blue"}, {"number": 2, "colour": "blue"}]`),
			`damaged: service "w": two generations are blue` + advice},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, fileName)
			mustWrite(t, path, row.text)
			_, err := mustOpen(t, dir).Load()
			if err == nil || err.Error() != "state file "+path+": "+row.want {
				t.Fatalf("got  %v\nwant state file %s: %s", err, path, row.want)
			}
			if text, _ := os.ReadFile(path); string(text) != row.text {
				t.Fatalf("the file was changed to %q", text)
			}
		})
	}
}

func service(fields string) string { return `{"format": 1, "services": {"w": {` + fields + `}}}` }

func TestAStateThatCouldNotBeLoadedIsNotSaved(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	mustSave(t, s, flipped(1))
	bad := State{Services: map[string]Service{"w": {Live: 1, NextGeneration: 2}}}
	if err := s.Save(bad); err == nil || err.Error() != `save state: service "w": the live generation is not listed` {
		t.Fatalf("got %v", err)
	}
	if got := mustLoad(t, s); !reflect.DeepEqual(got, flipped(1)) {
		t.Fatalf("got %+v", got)
	}
}

func TestADirectoryThatCannotBeWrittenKeepsTheOldState(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustSave(t, s, flipped(1))
	withoutWrite(t, dir, func() {
		if err := s.Save(flipped(2)); !errors.Is(err, os.ErrPermission) {
			t.Errorf("got %v", err)
		}
	})
	if got := mustLoad(t, s); !reflect.DeepEqual(got, flipped(1)) {
		t.Fatalf("got %+v", got)
	}
}

// withoutWrite runs f as somebody who may read dir only. Root gives its file
// system identity up for as long, on this thread.
func withoutWrite(t *testing.T, dir string, f func()) {
	t.Helper()
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(path, 0o755)
	}
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	f()
}

func TestAFileInPlaceOfTheDirectoryIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	mustWrite(t, path, "")
	_, err := Open(path)
	if want := "make state directory: mkdir " + path + ": not a directory"; err == nil || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}
