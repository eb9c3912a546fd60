package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Drops counts the packets that the lab itself lost, by place: full queues and
// rings of its interfaces, full socket buffers, wrong checksums. What an XDP
// program drops is not among them. Zeros are left out.
func (l *Lab) Drops() (map[string]uint64, error) {
	drops := map[string]uint64{}
	for _, ns := range l.spaces {
		if err := ns.linkDrops(drops); err != nil {
			return nil, err
		}
		if err := ns.socketDrops(drops); err != nil {
			return nil, err
		}
	}
	return drops, nil
}

// linkDrops adds what a namespace's interfaces dropped.
func (ns *NS) linkDrops(drops map[string]uint64) error {
	links, err := ns.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list links of %s: %w", ns.Name, err)
	}
	for _, l := range links {
		s := l.Attrs().Statistics
		if s == nil || l.Type() != "veth" {
			continue
		}
		if s.TxDropped > 0 {
			drops[ns.Name+" "+l.Attrs().Name+" tx"] = s.TxDropped
		}
		if s.RxDropped > 0 {
			drops[ns.Name+" "+l.Attrs().Name+" rx"] = s.RxDropped
		}
	}
	return nil
}

// lossCounters are the protocol counters that mean a lost packet.
var lossCounters = map[string]bool{
	"UdpRcvbufErrors": true, "UdpSndbufErrors": true, "UdpInCsumErrors": true, "TcpInCsumErrors": true,
	"Udp6RcvbufErrors": true, "Udp6SndbufErrors": true, "Udp6InCsumErrors": true,
}

// socketDrops adds what a namespace's sockets dropped.
func (ns *NS) socketDrops(drops map[string]uint64) error {
	counters, err := ns.counters()
	if err != nil {
		return fmt.Errorf("counters of %s: %w", ns.Name, err)
	}
	for name, n := range counters {
		if lossCounters[name] && n > 0 {
			drops[ns.Name+" "+name] = n
		}
	}
	return nil
}

// counters reads the namespace's protocol counters, of both families.
func (ns *NS) counters() (map[string]uint64, error) {
	var v4, v6 []byte
	err := ns.Do(func() (err error) {
		if v4, err = os.ReadFile("/proc/thread-self/net/snmp"); err != nil {
			return err
		}
		v6, err = os.ReadFile("/proc/thread-self/net/snmp6")
		return err
	})
	if err != nil {
		return nil, err
	}
	counters := map[string]uint64{}
	for line := range strings.Lines(string(v6)) {
		if f := strings.Fields(line); len(f) == 2 {
			counters[f[0]], _ = strconv.ParseUint(f[1], 10, 64)
		}
	}
	addPairs(counters, strings.Split(string(v4), "\n"))
	return counters, nil
}

// addPairs adds counters that come as a line of names above a line of values.
func addPairs(counters map[string]uint64, lines []string) {
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for j := 1; j < len(names) && j < len(values); j++ {
			counters[strings.TrimSuffix(names[0], ":")+names[j]], _ = strconv.ParseUint(values[j], 10, 64)
		}
	}
}
