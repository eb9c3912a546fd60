package explain

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ebbtide/ebbtide/maps"
)

// steered: a flow that its client's session has no backend for is given one by a generation's Maglev table.
func (w *walk) steered() (bool, error) {
	if len(w.Backends) != 0 {
		return false, nil
	}
	open := w.Client.Port() == 0 || w.To.Port() == 0
	if w.preset != 0 {
		ids, err := w.slot(w.Generation, w.Client, w.To.Port(), open)
		if err != nil {
			return true, err
		}
		if len(ids) != 0 {
			w.Backends = ids
			return false, nil
		}
	}
	generation, ids, err := w.choose(w.Client, w.To.Port(), open)
	if err != nil {
		return true, err
	}
	if len(ids) == 0 {
		return w.drop("drop_no_generation")
	}
	w.Generation, w.Backends = generation, ids
	return false, nil
}

// choose is steer() of the program: a generation, and its backend for these ports, or all that it may be by ports that are
// left open.
func (w *walk) choose(client netip.AddrPort, port uint16, open bool) (generation uint16, ids []uint16, err error) {
	steer := w.k.Steer(w.Service)
	generation, err = w.generation(steer)
	if err != nil {
		return 0, nil, err
	}
	ids, err = w.slot(generation, client, port, open)
	if err != nil || len(ids) != 0 || generation == steer.Live {
		return generation, ids, err
	}
	w.say(StepGeneration, fmt.Sprintf("%s, which is live, since nobody of the other takes new flows", w.name(steer.Live)))
	ids, err = w.slot(steer.Live, client, port, open)
	return steer.Live, ids, err
}

// generation that a flow without a pin goes to.
func (w *walk) generation(steer maps.Steer) (uint16, error) {
	if w.Midstream && steer.Previous != 0 {
		w.say(StepOrphan, fmt.Sprintf("in mid-stream without a pin: to %s, which was live before", w.name(steer.Previous)))
		return steer.Previous, nil
	}
	if steer.Candidate != 0 {
		on, err := w.onCandidate(steer)
		if on || err != nil {
			return steer.Candidate, err
		}
	}
	w.say(StepGeneration, w.name(steer.Live)+" is live")
	return steer.Live, nil
}

// onCandidate: testers, and a share of the clients by a hash of their address.
func (w *walk) onCandidate(steer maps.Steer) (bool, error) {
	client := w.Client.Addr()
	prefix, is, err := w.k.Tester(w.Service, client)
	if err != nil {
		return false, err
	}
	if is {
		w.say(StepTester, fmt.Sprintf("%s: to the candidate, %s", prefix, w.name(steer.Candidate)))
		return true, nil
	}
	w.say(StepTester, "no")
	share := fmt.Sprintf("%g%% of the clients go to the candidate", float64(steer.Share)/100)
	if maps.InShare(w.service.Salt, client, steer.Share) {
		w.say(StepShare, fmt.Sprintf("%s, this one too: %s", share, w.name(steer.Candidate)))
		return true, nil
	}
	w.say(StepShare, share+", this one not")
	return false, nil
}

// slot of a generation's Maglev table. Nobody takes new flows where there is none.
func (w *walk) slot(generation uint16, client netip.AddrPort, port uint16, open bool) ([]uint16, error) {
	table, err := w.k.Maglev(generation, w.family)
	if err != nil {
		return nil, err
	}
	if generation == 0 || len(table) == 0 {
		w.say(StepSlot, w.name(generation)+" has no backend of this family that takes new flows")
		return nil, nil
	}
	if !open {
		at := maps.MaglevSlot(maps.SteeringHash(client, port), len(table))
		w.say(StepSlot, fmt.Sprintf("%d of %d of its Maglev table", at, len(table)))
		return table[at : at+1], nil
	}
	ids := slices.Clone(table)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	w.say(StepSlot, fmt.Sprintf("one of %d of its Maglev table, by the ports", len(table)))
	return ids, nil
}
