package nearest

import "testing"

func TestWhatSomebodyMayHaveMeant(t *testing.T) {
	names := []string{"lobby", "world", "world-eu", "chat"}
	for typed, want := range map[string]string{
		"wrold":    "world", // two letters swapped
		"worl":     "world",
		"worlds":   "world",
		"lobi":     "", // two of four
		"cat":      "chat",
		"world-us": "world-eu",
		"moon":     "",
		"":         "",
		"größe":    "",
	} {
		if got := To(typed, names); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	if got := Hint("wrold", names); got != "; did you mean world?" {
		t.Error(got)
	}
	if got := Hint("moon", names); got != "" {
		t.Error(got)
	}
}
