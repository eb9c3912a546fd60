package daemon

import (
	"context"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// keepAlive says, thrice in the time that the manager waits, that the daemon answers: by asking for the status, as a
// client does. A controller that hangs gives no answer, not even an error, and is killed and started anew; packets do not
// notice. A manager that does not wait has 0.
func keepAlive(ctx context.Context, waits time.Duration, alive func(), status func(context.Context) (api.Status, error)) error {
	if waits == 0 {
		return nil
	}
	tick := time.NewTicker(waits / 3)
	defer tick.Stop()
	for {
		_, _ = status(ctx)
		alive()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
