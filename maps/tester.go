package maps

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// MaxTesters bounds the testers of a family, over all services.
const MaxTesters = int(bpf.ProgramLimitMAX_TESTERS)

// Tester is a prefix of clients of a service that go to its candidate while it has one.
type Tester struct {
	Service uint16 // index
	Prefix  netip.Prefix
}

// TesterOrigin says who named a tester, by bits. The data plane does not look at it.
type TesterOrigin uint32

// The origins.
const (
	FromOperator TesterOrigin = 1 << iota
	FromFile
	FromProbe // for as long as the daemon probes
)

// PutTester makes a prefix a tester, or changes the origin of one.
func (t *Tables) PutTester(tester Tester, from TesterOrigin) error {
	err := t.maps[testerMaps[familyOf(tester.Prefix.Addr())]].Put(testerKey(tester), uint32(from))
	if err != nil {
		return fmt.Errorf("add tester %s of service index %d: %w", tester.Prefix, tester.Service, err)
	}
	return nil
}

// RemoveTester takes a prefix back; one that is not there is no error.
func (t *Tables) RemoveTester(tester Tester) error {
	err := t.maps[testerMaps[familyOf(tester.Prefix.Addr())]].Delete(testerKey(tester))
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove tester %s of service index %d: %w", tester.Prefix, tester.Service, err)
	}
	return nil
}

// Testers lists those of every service.
func (t *Tables) Testers() (map[Tester]TesterOrigin, error) {
	out := map[Tester]TesterOrigin{}
	var four bpf.ProgramTesterKey4
	var six bpf.ProgramTesterKey6
	var from uint32
	it := t.maps[testerMaps[IPv4]].Iterate()
	for it.Next(&four, &from) {
		addr := hostAddr(IPv4, [4]uint32{four.Addr})
		out[Tester{uint16(four.Service), netip.PrefixFrom(addr, int(four.Prefixlen)-32)}] = TesterOrigin(from)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("list the testers of IPv4: %w", err)
	}
	it = t.maps[testerMaps[IPv6]].Iterate()
	for it.Next(&six, &from) {
		addr := hostAddr(IPv6, six.Addr)
		out[Tester{uint16(six.Service), netip.PrefixFrom(addr, int(six.Prefixlen)-32)}] = TesterOrigin(from)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("list the testers of IPv6: %w", err)
	}
	return out, nil
}

var testerMaps = [2]string{"testers4", "testers6"}

// testerKey: the trie compares bits from the first byte on, so the service, in whatever order of bytes, comes whole.
func testerKey(t Tester) any {
	w, bits := wireAddr(t.Prefix.Masked().Addr()), uint32(32+t.Prefix.Bits())
	if t.Prefix.Addr().Is4() {
		return bpf.ProgramTesterKey4{Prefixlen: bits, Service: uint32(t.Service), Addr: w[0]}
	}
	return bpf.ProgramTesterKey6{Prefixlen: bits, Service: uint32(t.Service), Addr: w}
}
