package maps

import "net/netip"

// EvictClients marks at most so many sessions of clients, kept under these VIP ids by family, and with each of them the
// flows of its client that are wanted: were some of them left for later, the others would come back to the session. It
// says how many sessions it marked. What is wanted has to be of one service.
func (t *Tables) EvictClients(vips [2]uint16, want Wanted, most uint32) (marked uint32) {
	for _, f := range families {
		clients := map[netip.Addr]bool{}
		t.Scan(f, 0, t.SlotCount(f), want, func(flow Flow) bool {
			if flow.VIP == vips[f] && marked < most && t.evict(f, flow.Slot, want) {
				clients[flow.Client.Addr()] = true
				marked++
			}
			return marked < most
		})
		if len(clients) == 0 {
			continue
		}
		t.Scan(f, 0, t.SlotCount(f), want, func(flow Flow) bool {
			if flow.VIP != vips[f] && clients[flow.Client.Addr()] {
				t.evict(f, flow.Slot, want)
			}
			return true
		})
	}
	return marked
}

// evict marks a slot that is still wanted. A packet may change its word meanwhile: it is judged anew, a few times.
func (t *Tables) evict(f Family, slot uint32, want Wanted) bool {
	const stateBits = 7
	for range 8 {
		m := t.Meta(f, slot)
		if !want.Meta(m) {
			return false
		}
		if t.SwapMeta(f, slot, m, m&^stateBits|Meta(Evicting)) {
			return true
		}
	}
	return false
}
