package plain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
)

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "well", "\x1b[2J\x1b[H", "a\nlevel=INFO", strings.Repeat("ü", Most), "\xff\xfe", "\u202egnp.exe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if len(got) > Most || Text(got) != got || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", s, got)
		}
	})
}

func TestAnErrorKeepsWhatItIs(t *testing.T) {
	bad := fmt.Errorf("it said %s: %w", "\x1b[2J", context.DeadlineExceeded)
	if got := Error(bad); !errors.Is(got, context.DeadlineExceeded) || got.Error() != "it said ·[2J: context deadline exceeded" {
		t.Errorf("got %v", got)
	}
	if Error(nil) != nil || Error(context.Canceled) != context.Canceled {
		t.Error("what is fit is changed")
	}
}
