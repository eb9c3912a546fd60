package game

import (
	"errors"
	"math/rand/v2"
	"os"
	"time"
)

// Play sends a request every tick, from a random moment of the first tick on,
// and judges the answers, until the session ends.
func (s *Session) Play(tick time.Duration) {
	s.played = make(chan struct{})
	go func() {
		defer close(s.played)
		next := time.Now().Add(rand.N(tick))
		for !s.stop.Load() && s.turn(&next, tick) {
		}
	}()
}

// turn waits for an answer or the next tick, and says whether to go on.
func (s *Session) turn(next *time.Time, tick time.Duration) bool {
	if err := s.conn.SetReadDeadline(*next); err != nil {
		return false
	}
	if s.stop.Load() { // set after the last look, its deadline overwritten
		return false
	}
	err := s.receive()
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err == nil
	}
	if s.stop.Load() {
		return false
	}
	s.silence()
	if now := time.Now(); next.Before(now) {
		*next = now
	}
	*next = next.Add(tick)
	if s.crowded() {
		return true
	}
	return s.send(play) == nil
}

// window is how many requests are open at most: on a machine that is too slow
// for the ticks, players slow down before a socket's buffer overflows.
const window = 8

// crowded says whether to let a tick go by. One that was silent for too long
// is broken anyway and asks on, to see whether anybody answers.
func (s *Session) crowded() bool {
	return s.judge.sent-s.judge.answered >= window && !s.judge.silent
}

// halt ends the loop of Play, if there is one.
func (s *Session) halt() {
	if s.played == nil {
		return
	}
	s.stop.Store(true)
	s.conn.SetReadDeadline(time.Unix(1, 0))
	<-s.played
}

// Exchange waits until a session that plays has had n more answers, or is
// broken in another way than before, silent, or over. One whose login failed
// does not play, and is not waited for.
func (s *Session) Exchange(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers, faults := s.judge.answered+n, s.judge.faults
	for s.played != nil && !s.over.Load() && !s.judge.silent && s.judge.answered < answers && s.judge.faults == faults {
		s.changed.Wait()
	}
}
