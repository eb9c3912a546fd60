package explain

import (
	"fmt"
	"net"
	"strings"
)

// hop: the backend's next hop, as user space resolved it.
func (w *walk) hop() (bool, error) {
	if len(w.Backends) > 1 {
		names := make([]string, len(w.Backends))
		for i, id := range w.Backends {
			names[i] = w.server(id)
		}
		w.say(StepBackend, "one of "+strings.Join(names, ", "))
		w.Verdict = Forward
		return true, nil
	}
	id := w.Backends[0]
	w.say(StepBackend, fmt.Sprintf("%s of %s", w.server(id), w.name(w.Generation)))
	hop, resolved := w.k.Hop(w.family, id)
	if !resolved {
		w.say(StepNextHop, "not resolved: ebbtide status says why")
		w.Verdict, w.Reason = Drop, "drop_unresolved"
		return true, nil
	}
	w.Verdict, w.Hop = Forward, hop
	by := w.host.Interface(hop.IfIndex)
	if hop.Tags.Count() != 0 {
		by += ", " + hop.Tags.String()
	}
	w.say(StepNextHop, fmt.Sprintf("%s by interface %s", net.HardwareAddr(hop.DstMAC[:]), by))
	return true, nil
}
