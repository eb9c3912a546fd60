package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/config"
)

// way is how a backend of a dsr service is reached.
type way struct {
	iface netlink.Link
	from  netip.Addr // this host's address there
}

// backends asks those of dsr services, as far as they are on a link of this host: whether they hold the VIP, which an echo
// request for it tells, and whether they answer ARP for it, which takes its players from this host.
func (h Host) backends(ctx context.Context) []Finding {
	var found []Finding
	asked := map[int]*inquiry{} // by interface
	for _, p := range h.pairs() {
		w, problem := wayTo(p.backend)
		if problem != "" {
			found = append(found, Finding{Check: "backend", On: p.backend.String(), Verdict: Fails, Detail: problem, Do: "a backend of a dsr service has to be on a link of this host; or take forwarding ipip"})
			continue
		}
		index := w.iface.Attrs().Index
		if asked[index] == nil {
			asked[index] = &inquiry{way: w}
		}
		asked[index].pairs = append(asked[index].pairs, p)
	}
	for _, q := range asked {
		found = append(found, q.findings(ctx)...)
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.On+a.Detail, b.On+b.Detail) })
	return found
}

// pair is a backend and a VIP that it has to hold.
type pair struct{ backend, vip netip.Addr }

// pairs of IPv4: the loopback's addresses of IPv6 are answered for by nobody, and an echo of them tells nothing more.
func (h Host) pairs() []pair {
	var all []pair
	for _, s := range h.Config.Services {
		if s.Forwarding != config.DSR {
			continue
		}
		for _, l := range s.Listeners {
			for _, pool := range s.Pools {
				for _, b := range pool.Backends {
					p := pair{b.AddrFor(l.VIP), l.VIP}
					if l.VIP.Is4() && p.backend.IsValid() && !slices.Contains(all, p) {
						all = append(all, p)
					}
				}
			}
		}
	}
	return all
}

// wayTo a backend, or why there is none that dsr can use.
func wayTo(backend netip.Addr) (way, string) {
	routes, err := netlink.RouteGet(backend.AsSlice())
	if err != nil || len(routes) == 0 {
		return way{}, fmt.Sprintf("no route leads there (%v)", err)
	}
	r := routes[0]
	if r.Gw != nil {
		return way{}, fmt.Sprintf("it is behind the gateway %s", r.Gw)
	}
	dev, err := netlink.LinkByIndex(r.LinkIndex)
	if err != nil {
		return way{}, err.Error()
	}
	from, ok := netip.AddrFromSlice(r.Src.To4())
	if !ok || len(dev.Attrs().HardwareAddr) != 6 {
		return way{}, "the route there is by " + dev.Attrs().Name + ", which is no Ethernet interface with an address"
	}
	return way{dev, from}, ""
}

// findings are one a pair.
func (q *inquiry) findings(ctx context.Context) []Finding {
	heard, err := q.ask(ctx)
	var found []Finding
	for _, p := range q.pairs {
		f := Finding{Check: "backend", On: p.backend.String()}
		if err != nil {
			f.Verdict, f.Detail = Unknown, err.Error()
			if os.IsPermission(err) {
				f.Do = "ask as root"
			}
		} else {
			heard.judge(&f, p)
		}
		found = append(found, f)
	}
	return found
}

// judge says what was heard of one pair.
func (h heard) judge(f *Finding, p pair) {
	setup := "on the backend: ebbtide backend setup --mode dsr --vip " + p.vip.String() + " --apply"
	mac, there := h.macs[p.backend]
	switch {
	case !there:
		f.Verdict, f.Detail, f.Do = Fails, "nobody answers ARP for it", "start it, or take it out of the configuration"
	case slices.Contains(h.claims[p.vip], mac):
		f.Verdict, f.Detail, f.Do = Fails, "it answers ARP for the VIP "+p.vip.String()+", and takes players past this host", setup
	case !h.holds[p]:
		f.Verdict, f.Detail, f.Do = Note, "no answer to an echo request for the VIP "+p.vip.String()+": it does not hold the VIP, or answers no echo", setup
	default:
		f.Verdict, f.Detail = OK, "holds the VIP "+p.vip.String()+" and answers no ARP for it"
	}
}
