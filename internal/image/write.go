package image

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// Writer brings the kernel from one image to another. Step, when set, hears of every write before it is made.
type Writer struct {
	Tables *kernel.Tables
	Now    uint32 // tick from which the cap of what takes no new sessions any more counts
	Step   func(what string)
}

// Write changes what differs. The order matters, since packets pass meanwhile and the writer may be killed between any
// two writes: what is named is written before what names it, and taken away after. Run again with the same wish it
// finishes what was begun.
func (w Writer) Write(have, want *Image) error {
	w.records(have, want)
	if err := w.maglev(want); err != nil {
		return err
	}
	if err := w.putTesters(have, want); err != nil {
		return err
	}
	w.steer(have, want)
	if err := w.vips(have, want); err != nil {
		return err
	}
	// The filter lets through the old and the new until the old listeners are gone.
	refilter := !maps.Equal(addressSet(have), addressSet(want))
	if refilter {
		w.filter(slices.Concat(have.Addresses(), want.Addresses()))
	}
	if err := errors.Join(w.putReplies(have, want), w.putListeners(have, want)); err != nil {
		return err
	}
	if err := w.remove(have, want); err != nil {
		return err
	}
	if refilter {
		w.filter(want.Addresses())
	}
	return nil
}

func (w Writer) step(format string, args ...any) {
	if w.Step != nil {
		w.Step(fmt.Sprintf(format, args...))
	}
}

// records writes services, generations and backends.
func (w Writer) records(have, want *Image) {
	for index, s := range want.Services {
		if have.Services[index].Service != s.Service {
			w.step("service %d: record", index)
			w.Tables.PutService(index, s.Service)
		}
	}
	w.generations(have, want)
	for id, b := range want.Backends {
		old, there := have.Backends[id]
		old.Lost = b.Lost // no record of it is written here: it goes with the next hop
		if there && old == b {
			continue
		}
		w.step("backend %d", id)
		w.backend(id, old, b, there)
	}
}

// generations writes first those that leave their slot: whoever comes upon this half done must not find two in one.
func (w Writer) generations(have, want *Image) {
	for _, leaving := range []bool{true, false} {
		for index, g := range want.Generations {
			if have.Generations[index] != g && (g.Colour == kernel.NoColour) == leaving {
				w.step("generation %d: record", index)
				w.Tables.PutGeneration(index, g)
			}
		}
	}
}

func (w Writer) backend(id uint16, old, b Backend, there bool) {
	for _, f := range kernel.Families() {
		if !b.Addrs[f].IsValid() {
			continue
		}
		if !there || old.Addrs[f] != b.Addrs[f] {
			e := b.Backend
			e.Addr = b.Addrs[f]
			if b.Forwarding == kernel.IPIP {
				e.Outer = family(e.Addr)
			}
			w.Tables.PutBackend(f, id, e)
			continue
		}
		w.Tables.NoteBackend(f, id, b.Weight, b.Use, w.Now)
	}
}

// maglev goes by what is in the kernel, not by the old image: a table may be what a killed writer left out.
func (w Writer) maglev(want *Image) error {
	var changed []kernel.MaglevTable
	for index := range want.Generations {
		for _, f := range kernel.Families() {
			takers := want.takers(index, f)
			if w.Tables.HasMaglev(index, f, takers.digest()) {
				continue
			}
			w.step("generation %d: Maglev table of family %d", index, f)
			changed = append(changed, kernel.MaglevTable{Generation: index, Family: f, IDs: takers.table(), Digest: takers.digest()})
			if len(changed) == kernel.MaglevBatch {
				if err := w.Tables.SetMaglevs(changed); err != nil {
					return err
				}
				changed = nil
			}
		}
	}
	return w.Tables.SetMaglevs(changed)
}

func (w Writer) steer(have, want *Image) {
	for index, s := range want.Services {
		if have.Services[index].Steer != s.Steer {
			w.step("service %d: steer", index)
			w.Tables.SetFlipped(index, w.Now)
			w.Tables.SetSteer(index, s.Steer)
		}
	}
}

func (w Writer) vips(have, want *Image) error {
	for id, v := range want.VIPs {
		if old, there := have.VIPs[id]; there && old == v {
			continue
		}
		w.step("VIP %d", id)
		if err := w.Tables.PutVIP(id, v); err != nil {
			return err
		}
	}
	return nil
}

func (w Writer) filter(addrs []netip.Addr) {
	w.step("address filter")
	w.Tables.SetFilter(addrs)
}

func addressSet(im *Image) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, a := range im.Addresses() {
		out[a] = true
	}
	return out
}

func (w Writer) putReplies(have, want *Image) error {
	for socket, r := range want.Replies {
		if old, there := have.Replies[socket]; there && old == r {
			continue
		}
		w.step("reply %v", socket)
		if err := w.Tables.PutReply(socket, r); err != nil {
			return err
		}
	}
	return nil
}

// putListeners writes marks last, and listeners only when all that they name is there.
func (w Writer) putListeners(have, want *Image) error {
	for socket, l := range want.Listeners {
		if old, there := have.Listeners[socket]; there && old == l {
			continue
		}
		w.step("listener %v", socket)
		if err := w.Tables.PutListener(socket, l); err != nil {
			return err
		}
	}
	return nil
}

// remove takes away what the wish no longer has, the names before the named.
func (w Writer) remove(have, want *Image) error {
	var errs []error
	for socket := range have.Listeners {
		if _, keep := want.Listeners[socket]; !keep {
			w.step("remove listener %v", socket)
			errs = append(errs, w.Tables.RemoveListener(socket))
		}
	}
	for socket := range have.Replies {
		if _, keep := want.Replies[socket]; !keep {
			w.step("remove reply %v", socket)
			errs = append(errs, w.Tables.RemoveReply(socket))
		}
	}
	for id := range have.VIPs {
		if _, keep := want.VIPs[id]; !keep {
			w.step("remove VIP %d", id)
			errs = append(errs, w.Tables.RemoveVIP(id))
		}
	}
	errs = append(errs, w.removeTesters(have, want))
	w.removeRecords(have, want, &errs)
	return errors.Join(errs...)
}

func (w Writer) removeRecords(have, want *Image, errs *[]error) {
	var gone []uint16
	for index := range have.Generations {
		if _, keep := want.Generations[index]; !keep {
			w.step("remove generation %d", index)
			gone = append(gone, index)
		}
	}
	*errs = append(*errs, w.Tables.RemoveGenerations(gone...), w.removeBackends(have, want))
	for index := range have.Services {
		if _, keep := want.Services[index]; !keep {
			w.step("remove service %d", index)
			*errs = append(*errs, w.Tables.RemoveService(index))
		}
	}
}

func (w Writer) removeBackends(have, want *Image) error {
	var gone []uint16
	for id := range have.Backends {
		if _, keep := want.Backends[id]; !keep {
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	w.step("counts of %d backends", len(gone))
	if err := w.Tables.FoldCounts(gone...); err != nil {
		return err
	}
	for _, id := range gone {
		w.step("remove backend %d", id)
		for _, f := range kernel.Families() {
			if have.Backends[id].Addrs[f].IsValid() {
				w.Tables.RemoveBackend(f, id)
			}
		}
	}
	return nil
}
