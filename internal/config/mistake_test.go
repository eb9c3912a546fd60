package config

import (
	"strings"
	"testing"
)

// mistake is a sound file with one place of it changed, and every line that
// is then to be printed, without the file's name.
type mistake struct {
	name     string
	old, new string
	want     []string
}

func refuse(t *testing.T, rows []mistake) {
	t.Helper()
	refuseOf(t, sound, rows)
}

// refuseOf changes another file that is sound.
func refuseOf(t *testing.T, sound string, rows []mistake) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if !strings.Contains(sound, row.old) {
				t.Fatalf("%q is not in the sound file", row.old)
			}
			cfg, err := Parse("f", []byte(strings.Replace(sound, row.old, row.new, 1)))
			if err == nil || cfg != nil {
				t.Fatalf("accepted: %+v", cfg)
			}
			if want := "f:" + strings.Join(row.want, "\nf:"); err.Error() != want {
				t.Errorf("got\n%s\nwant\n%s", err, want)
			}
		})
	}
}
