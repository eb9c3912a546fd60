package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

func TestADaemonThatAnswersIsAliveAndOneThatHangsIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var said atomic.Int32
		var hangs atomic.Bool
		status := func(context.Context) (api.Status, error) {
			if hangs.Load() {
				<-hang
			}
			return api.Status{}, errors.New("an answer, too")
		}
		ctx, stop := context.WithCancel(t.Context())
		go keepAlive(ctx, 30*time.Second, func() { said.Add(1) }, status)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if said.Load() != 31 { // at once, and each 10 s
			t.Errorf("said %d times in 5 minutes that it lives, want 31", said.Load())
		}
		hangs.Store(true)
		said.Store(0)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if said.Load() != 0 {
			t.Errorf("hangs, and said %d times that it lives", said.Load())
		}
		close(hang)
		stop()
	})
}
