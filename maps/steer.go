package maps

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Factors of the program's hashes.
const (
	mixOne   = 0x9e3779b97f4a7c15
	mixTwo   = 0xbf58476d1ce4e5b9
	mixThree = 0x94d049bb133111eb
)

// flowKey is a flow's key as its slot has it: the first word only in IPv4, whose VIP is in the meta word.
func flowKey(client netip.AddrPort, port, vip uint16) (key [3]uint64) {
	ports := uint64(wirePort(client.Port()))<<16 | uint64(wirePort(port))
	words := clientWords(client.Addr())
	if client.Addr().Is4() {
		return [3]uint64{words[0] | ports}
	}
	return [3]uint64{ports<<32 | uint64(vip), words[0], words[1]}
}

// SteeringHash is steering_hash() of the program: of a flow, and the same on every host. A client's session is steered by
// his address alone: both ports are 0.
func SteeringHash(client netip.AddrPort, port uint16) uint32 {
	key := flowKey(client, port, 0)
	h := key[0]
	if client.Addr().Is6() {
		h >>= 32
	}
	h *= mixOne
	h = ((h ^ h>>32) + key[1]) * mixTwo
	h = ((h ^ h>>29) + key[2]) * mixThree
	return uint32(h >> 32)
}

// MaglevSlot is the entry of a Maglev table of so many that a steering hash leads to.
func MaglevSlot(hash uint32, size int) int { return int(uint64(hash) * uint64(size) >> 32) }

// InShare is in_share() of the program: whether a client is of the share, in ten-thousandths, that the candidate has.
func InShare(salt uint64, client netip.Addr, share uint16) bool {
	words := clientWords(client)
	first := words[0]
	if client.Is4() {
		first >>= 32
	}
	h := (salt ^ first) * mixOne
	if client.Is6() {
		h = ((h ^ h>>32) + words[1]) * mixTwo
	}
	h = (h ^ h>>29) * mixThree
	return (h>>32)*WholeShare>>32 < uint64(share)
}

// Tester says whether a client is a tester of a service, and by which prefix.
func (t *Tables) Tester(service uint16, client netip.Addr) (netip.Prefix, bool, error) {
	whole := netip.PrefixFrom(client, client.BitLen())
	var from uint32
	err := t.maps[testerMaps[familyOf(client)]].Lookup(testerKey(Tester{service, whole}), &from)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return netip.Prefix{}, false, nil
	} else if err != nil {
		return netip.Prefix{}, false, fmt.Errorf("look up tester %s of service index %d: %w", client, service, err)
	}
	all, err := t.Testers() // the trie says that there is one, and not which
	if err != nil {
		return netip.Prefix{}, false, err
	}
	longest := netip.PrefixFrom(client, 0)
	for tester := range all {
		if p := tester.Prefix; tester.Service == service && p.Contains(client) && p.Bits() >= longest.Bits() {
			longest = p
		}
	}
	return longest, true, nil
}

// Find looks a flow up as the program does, in all lines in which it may lie, those of the overflow too. The entry of a
// client's session has no ports, and the VIP id that its service has for them. An entry past its timeout is found: it is no
// pin.
func (t *Tables) Find(client netip.AddrPort, port, vip uint16) (Flow, bool, error) {
	f := familyOf(client.Addr())
	seed, err := t.seed()
	if err != nil {
		return Flow{}, false, err
	}
	hash := bucketHash(f, flowKey(client, port, vip), vip, seed)
	for i := range linesMain + linesStash {
		first := candidate(t.layouts[f], hash, i) * Slots
		for slot := first; slot < first+Slots; slot++ {
			if flow, ok := t.Flow(f, slot); ok && flow.Client == client && flow.Port == port && flow.VIP == vip {
				return flow, true, nil
			}
		}
	}
	return Flow{}, false, nil
}

// FirstEnd is the tick at which the first flow of a client's session ended, 0 while none has: flow is the session's entry.
func (t *Tables) FirstEnd(flow Flow) uint32 { return t.cold[flow.Family][flow.Slot].EndSeq }

// seed is that of the bucket hash.
func (t *Tables) seed() (uint64, error) {
	var config bpf.ProgramConfig
	if err := t.maps[".rodata.config"].Lookup(uint32(0), &config); err != nil {
		return 0, fmt.Errorf("read the hash seed: %w", err)
	}
	return config.Seed, nil
}
