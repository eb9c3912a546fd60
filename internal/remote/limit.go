package remote

import (
	"sync"
	"time"
)

// limiter lets each key do something so often: a bucket of burst, filled by rate a second.
type limiter struct {
	rate, burst float64
	now         func() time.Time

	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// maxBuckets bounds what is remembered: keys come from the network.
const maxBuckets = 4096

// allow takes one of a key's bucket, if there is one.
func (l *limiter) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.buckets == nil {
		l.buckets = map[string]bucket{}
	}
	if _, known := l.buckets[key]; !known && len(l.buckets) >= maxBuckets {
		l.forget(now)
		if len(l.buckets) >= maxBuckets {
			key = "" // all who are new share one
		}
	}
	b, known := l.buckets[key]
	if !known {
		b = bucket{l.burst, now}
	}
	b.left = l.filled(b, now)
	b.at = now
	ok := b.left >= 1
	if ok {
		b.left--
	}
	l.buckets[key] = b
	return ok
}

func (l *limiter) filled(b bucket, now time.Time) float64 {
	return min(l.burst, b.left+l.rate*now.Sub(b.at).Seconds())
}

// forget drops the buckets that are full again: a new one is the same.
func (l *limiter) forget(now time.Time) {
	for key, b := range l.buckets {
		if l.filled(b, now) >= l.burst {
			delete(l.buckets, key)
		}
	}
}

// slots lets each key do so many things at a time, and all together so many.
type slots struct {
	each, all int

	mu    sync.Mutex
	taken map[string]int
	sum   int
}

// take takes a slot, if there is one; release gives it back, once.
func (s *slots) take(key string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sum >= s.all || s.taken[key] >= s.each {
		return nil, false
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	s.taken[key]++
	s.sum++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sum--
		if s.taken[key]--; s.taken[key] == 0 {
			delete(s.taken, key)
		}
	}), true
}
