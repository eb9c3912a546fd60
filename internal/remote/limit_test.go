package remote

import (
	"fmt"
	"testing"
	"time"
)

func TestALimiterLetsABurstAndThenARate(t *testing.T) {
	now := time.Unix(0, 0)
	l := &limiter{rate: 2, burst: 3, now: func() time.Time { return now }}
	count := func(key string) (n int) {
		for l.allow(key) {
			n++
		}
		return n
	}
	if n := count("a"); n != 3 {
		t.Errorf("a burst of %d", n)
	}
	now = now.Add(time.Second)
	if a, b := count("a"), count("b"); a != 2 || b != 3 {
		t.Errorf("a second later %d, and %d of another", a, b)
	}
	now = now.Add(time.Hour)
	if n := count("a"); n != 3 {
		t.Errorf("an hour later %d", n)
	}
}

func TestALimiterRemembersSoManyAndRefusesNewOnesTogether(t *testing.T) {
	now := time.Unix(0, 0)
	l := &limiter{rate: 1, burst: 2, now: func() time.Time { return now }}
	for i := range maxBuckets {
		l.allow(fmt.Sprint(i))
	}
	let := 0
	for i := range 100 {
		if l.allow(fmt.Sprint("new", i)) {
			let++
		}
	}
	if let != 2 || len(l.buckets) > maxBuckets+1 {
		t.Errorf("%d of the new ones, %d buckets", let, len(l.buckets))
	}
	if !l.allow("7") {
		t.Error("one that is known is refused with them")
	}
	now = now.Add(time.Minute)
	if !l.allow("newer") || len(l.buckets) != 1 {
		t.Errorf("full buckets are kept: %d", len(l.buckets))
	}
}

func TestSlotsAreGivenBackOnce(t *testing.T) {
	s := &slots{each: 2, all: 3}
	one, _ := s.take("a")
	s.take("a")
	if _, ok := s.take("a"); ok {
		t.Error("a third of a")
	}
	s.take("b")
	if _, ok := s.take("c"); ok {
		t.Error("a fourth")
	}
	one()
	one()
	if _, ok := s.take("c"); !ok {
		t.Error("nothing was given back")
	}
	if _, ok := s.take("d"); ok {
		t.Error("it was given back twice")
	}
}

func TestLimitsAreForAnAddressOrTheNetworkOfOne(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7", "[2001:db8:1:2:3::4]:1": "2001:db8:1:2::/64", "pipe": "",
		"[fe80::1%eth0]:1": "fe80::/64",
	} {
		if got := hostOf(from); got != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
}
