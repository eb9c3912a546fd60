package explain

import "fmt"

// busy: a service that is closed tells whoever begins a session so. What is in mid-stream begins none, nor does a flow that
// joins its client's; testers may.
func (w *walk) busy() (bool, error) {
	if w.preset != 0 || w.Midstream || !w.k.Steer(w.Service).Busy {
		return false, nil
	}
	prefix, is, err := w.k.Tester(w.Service, w.Client.Addr())
	if err != nil {
		return true, err
	}
	if is {
		w.say(StepBusy, fmt.Sprintf("%s may come though the service is closed", prefix))
		return false, nil
	}
	w.say(StepBusy, "the service is closed: the client is told so")
	w.Verdict, w.Reason = Busy, "event_busy"
	return true, nil
}
