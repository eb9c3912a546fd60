package explain

import (
	"fmt"
)

// limit: the clients of a prefix begin as many flows as their service lets them. A session's first flow is asked for once,
// and what is moved is not.
func (w *walk) limit() (bool, error) {
	limit := w.service.NewFlows
	if limit.Rate == 0 || w.free {
		return false, nil
	}
	w.free = true
	left, err := w.k.NewFlowsLeft(w.Service, w.Client.Addr(), w.host.Now)
	if err != nil {
		return true, err
	}
	prefix, err := w.Client.Addr().Prefix(int(limit.Bits[w.family]))
	if err != nil {
		return true, err
	}
	allowed := fmt.Sprintf("%.0f a second, %d at once", float64(limit.Rate)/w.host.Tick.Seconds(), limit.Burst)
	if left == 0 {
		w.say(StepLimit, fmt.Sprintf("%s has begun as many flows as it may: %s", prefix, allowed))
		return w.drop("drop_new_flows")
	}
	w.say(StepLimit, fmt.Sprintf("%s may begin %d more flows now: %s", prefix, left, allowed))
	return false, nil
}
