package soak

import (
	"context"
	"fmt"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// kills says whether somebody kills the daemon now.
func (s *soak) kills() bool { return !s.calm() && s.rnd.IntN(3) == 0 }

// kill ends the daemon as a crash does, and starts it again.
func (s *soak) kill(ctx context.Context) error {
	s.Kills++
	if err := s.host.Kill(); err != nil {
		return err
	}
	return s.host.Start(ctx)
}

// flipTime is what a flip takes here, and more.
const flipTime = time.Second / 15

// flip makes a colour live; now and then the daemon dies over it, and the operator asks again where it had not happened.
func (s *soak) flip(ctx context.Context, to string) error {
	flip := func() error {
		_, err := s.host.Client.Flip(ctx, api.FlipRequest{Service: service, To: to})
		return err
	}
	if !s.kills() {
		return flip()
	}
	cut := make(chan error, 1)
	go func() { cut <- flip() }()
	time.Sleep(time.Duration(s.rnd.Int64N(int64(flipTime))))
	if err := s.kill(ctx); err != nil {
		return err
	}
	returned := <-cut
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	if live == to {
		return nil
	}
	if returned == nil {
		return fmt.Errorf("the flip to %s had returned, and after a kill %s is live", to, live)
	}
	return flip()
}

// disturb is what an operator does of an afternoon, and what else happens.
func (s *soak) disturb(ctx context.Context) error {
	if s.kills() {
		if err := s.kill(ctx); err != nil {
			return err
		}
	}
	switch s.rnd.IntN(3) {
	case 0:
		return s.reload(ctx)
	case 1:
		return s.back(ctx)
	}
	return nil
}

func (s *soak) reload(ctx context.Context) error {
	s.Reloads++
	s.files[0], s.files[1] = s.files[1], s.files[0]
	if err := s.host.Configure(s.files[0]); err != nil {
		return err
	}
	_, err := s.host.Client.Reload(ctx, api.ReloadRequest{})
	return err
}

// back rolls back and flips once more: those who came in between are at home again.
func (s *soak) back(ctx context.Context) error {
	s.Back++
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	if _, err := s.host.Client.Rollback(ctx, api.RollbackRequest{Service: service}); err != nil {
		return err
	}
	return s.flip(ctx, live)
}

// drained waits for the daemon's word that a colour is empty.
func (s *soak) drained(ctx context.Context, colour string) error {
	if s.kills() {
		if err := s.kill(ctx); err != nil {
			return err
		}
	}
	var last api.DrainProgress
	err := s.host.Client.WatchDrain(ctx, api.DrainRequest{Service: service}, func(p api.DrainProgress) error {
		last = p
		return nil
	})
	if err == nil && (last.State != api.StateDrained || last.Left.Total != 0) {
		err = fmt.Errorf("the drain of %s ended as %s with %d sessions", colour, last.State, last.Left.Total)
	}
	return err
}

// live is the colour that takes new sessions.
func (s *soak) live(ctx context.Context) (string, error) {
	st, err := s.host.Client.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, svc := range st.Services {
		for _, g := range svc.Generations {
			if g.State == api.StateLive {
				return g.Colour, nil
			}
		}
	}
	return "", fmt.Errorf("no generation of %s is live", service)
}
