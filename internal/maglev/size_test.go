package maglev

import "testing"

func TestSizeIsAPrimeOfAHundredSlotsABackendWherePossible(t *testing.T) {
	for _, c := range []struct{ n, want int }{
		{0, 1021}, {1, 1021}, {10, 1021}, {11, 4093}, {40, 4093}, {41, 16381}, {163, 16381}, {164, 65521}, {65000, 65521},
	} {
		got := Size(c.n)
		if got != c.want || !isPrime(got) {
			t.Errorf("Size(%d) is %d, want %d", c.n, got, c.want)
		}
	}
}
