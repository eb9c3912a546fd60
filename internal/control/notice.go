package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/hook"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// noticeBatch is how many flows a hook is told of at once, unless the configuration says it.
const noticeBatch = 100

// notify runs the hooks of a notice once for each batch of the flows that are left on the generation call.From. A batch
// has the key of its flows: after a crash those who were told are not told again, but where a batch has changed since.
func (c *Controller) notify(ctx context.Context, hooks []config.Hook, call hook.Call, batch int) error {
	walk := func(yield func(api.Flow) error) error {
		return c.Flows(ctx, api.FlowFilter{Service: call.Service, Generation: call.From.Number}, yield)
	}
	base := call.Key
	return leftInBatches(walk, batch, func(left []hook.Left) error {
		call.Key, call.Left = base+"/"+digestOf(left), left
		return c.runHooks(ctx, hooks, call)
	})
}

// leftInBatches hands on what a walk through the flows finds, so many at a time; 0: as many as is usual. Flows that never
// were established and flows that have ended are nobody's whom one could tell.
func leftInBatches(walk func(yield func(api.Flow) error) error, batch int, tell func([]hook.Left) error) error {
	if batch <= 0 {
		batch = noticeBatch
	}
	var left []hook.Left
	err := walk(func(f api.Flow) error {
		if f.State == kernel.StateName(kernel.HalfOpen) || f.State == kernel.StateName(kernel.Closing) {
			return nil
		}
		left = append(left, hook.Left{
			Client: f.Client, Protocol: f.Protocol, Port: f.Port, Backend: f.Backend, AgeSeconds: f.AgeSeconds, IdleSeconds: f.IdleSeconds,
		})
		if len(left) < batch {
			return nil
		}
		full := left
		left = nil
		return tell(full)
	})
	if err != nil || len(left) == 0 {
		return err
	}
	return tell(left)
}

// digestOf names the flows of a batch, whatever their age.
func digestOf(left []hook.Left) string {
	h := sha256.New()
	for _, l := range left {
		fmt.Fprintf(h, "%s %s %d %s\n", l.Client, l.Protocol, l.Port, l.Backend)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
