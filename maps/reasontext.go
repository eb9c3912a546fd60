package maps

import "github.com/ebbtide/ebbtide/bpf"

// ReasonText is a reason in words: what it means, and what it asks of an operator.
type ReasonText struct {
	Reason          Reason
	Meaning, Advice string
}

// ReasonTexts is the one place where reasons are explained, a line each, in the order of the enum. `ebbtide drops` prints
// it, and the table of docs/architecture.md is written from it by: go test ./docs -update. Tests find one that is missing.
func ReasonTexts() []ReasonText {
	return []ReasonText{
		{bpf.ProgramReasonPASS_NOT_IP, "neither IPv4 nor IPv6, or cut off before it: ARP, LLDP", "nothing"},
		{bpf.ProgramReasonPASS_OTHER_MAC, "the frame was flooded: not for this interface. Broadcasts and multicasts too", "nothing; when it grows fast, look at the switch"},
		{bpf.ProgramReasonPASS_MALFORMED, "the IP header is broken: the kernel judges it", "nothing"},
		{bpf.ProgramReasonPASS_NOT_OURS, "neither for a listener nor from a `nat` backend; on a VIP also ports without a listener, and ICMP that is neither echo nor an error about a flow", "nothing"},
		{bpf.ProgramReasonPASS_NO_FLOW, "from a `nat` backend's socket, but of no flow that is pinned to it", "nothing; right after a reboot it is replies to clients who have not sent yet. When it goes on, see whether clients reach the backends past this host"},
		{bpf.ProgramReasonDROP_MALFORMED, "for a VIP with listeners, but the transport or ICMP header is broken or cut off, has too many extension headers before it, or the frame ends before the packet does", "nothing, unless real clients send it"},
		{bpf.ProgramReasonDROP_FRAGMENT, "a fragment to a VIP with listeners that came before its first one, or more than 30 seconds after: it has no ports to steer by", "nothing while rare; when it grows, the network reorders fragments: lower the packet size of the protocol"},
		{bpf.ProgramReasonDROP_LISTENER_CLOSED, "a new flow to a listener that the configuration no longer has", "stop sending players there"},
		{bpf.ProgramReasonDROP_NO_GENERATION, "the chosen generation has no backend of this family with a weight, or there is none", "give the pool a backend with a weight, or flip"},
		{bpf.ProgramReasonDROP_UNRESOLVED, "the next hop's MAC is not known, or, for a reply, its interface is no longer attached", "`ebbtide status` says why for each backend"},
		{bpf.ProgramReasonDROP_TABLE_FULL, "a packet that can't be pinned: a SYN while a generation drains, or in `nat` any", "raise `max_flows`; look for a flood"},
		{bpf.ProgramReasonDROP_STRIPE_BUSY, "the stripe was held too long, or other CPUs were faster too often; a packet of a client or an answer of a backend", "nothing while rare: whoever sent it sends it again"},
		{bpf.ProgramReasonDROP_TTL, "TTL or hop limit used up: 0, or in `nat` and `ipip` 1", "look for a routing loop, or a traceroute"},
		{bpf.ProgramReasonDROP_MARTIAN, "a new flow, or an echo request, from an address that no packet may come from: loopback, multicast, the VIP itself", "look who spoofs; nothing is pinned or answered"},
		{bpf.ProgramReasonDROP_OTHER_VLAN, "a new flow into a `nat` service, in a VLAN that this host has no interface in: replies would not find back", "add the VLAN interface (`ip link add link eth0 name eth0.20 type vlan id 20`) and set it up, or take the VLAN off the switch port"},
		{bpf.ProgramReasonDROP_TOO_BIG, "larger than its way takes, and not answered: above the limit of answers, itself an ICMP packet, a later IPv4 fragment, shorter than the 504 bytes of a quote, or with those not in the first buffer", "when it grows, raise the MTU towards the backends, or lower the clients'"},
		{bpf.ProgramReasonDROP_ICMP_NO_FLOW, "an ICMP error about a flow that nobody has", "nothing: late, or forged"},
		{bpf.ProgramReasonDROP_ECHO, "an echo request above the limit, or echo is off", "nothing"},
		{bpf.ProgramReasonDROP_RESET, "a packet of a TCP session that is being moved, above the limit of answers", "nothing: the client sends again"},
		{bpf.ProgramReasonDROP_NEW_FLOWS, "a new flow from a prefix that has begun as many as its service's `limits` let it", "look who it is: `ebbtide explain` says whether an address is over it; when it is players behind one address, raise `limits.new_flows`"},
		{bpf.ProgramReasonDROP_BUSY, "a new session of a service that is closed (`ebbtide close`), above the limit of answers, or with IP options", "nothing: its sender tries again"},
		{bpf.ProgramReasonDROP_HEADROOM, "the driver leaves no room for an outer header, or for the VLAN tags of the way out", "use another driver, another forwarding mode, or a way out without more tags than players' packets have"},
		{bpf.ProgramReasonDROP_BAD_MAP, "must stay 0: a map element was missing", "report it"},
		{bpf.ProgramReasonEVENT_UNPINNED, "a packet of a new flow that found no slot, forwarded all the same", "raise `max_flows`; a drain of that generation is inconclusive for a while"},
		{bpf.ProgramReasonEVENT_REPLACED_CLOSING, "a closing flow made room for another", "raise `max_flows` when it grows: the lines are full"},
		{bpf.ProgramReasonEVENT_REPLACED_HALF_OPEN, "a half-open flow made room for another", "raise `max_flows` when it grows; a SYN flood, when it grows fast"},
		{bpf.ProgramReasonEVENT_REPLACED_YOUNG, "a young flow made room for another", "raise `max_flows`: players just logged in are at risk; or look for a flood"},
		{bpf.ProgramReasonEVENT_REPLACED_SHARE, "a half-open flow made room for another of its service, which had its share of the table (`limits.half_open`)", "a flood, when it grows fast; otherwise raise `limits.half_open`"},
		{bpf.ProgramReasonEVENT_OVERFLOW, "pinned in the overflow", "raise `max_flows`: the overflow is idle up to there"},
		{bpf.ProgramReasonEVENT_CAS_LOST, "a compare-and-swap that another CPU won", "nothing: two CPUs had packets of one flow or line"},
		{bpf.ProgramReasonEVENT_PUBLISH_LOST, "must stay 0: a claimed slot changed under its owner", "report it"},
		{bpf.ProgramReasonEVENT_IMPORTED, "a flow taken over from the previous table in an upgrade", "nothing"},
		{bpf.ProgramReasonEVENT_TOO_BIG, "answered with \"fragmentation needed\" or \"packet too big\": larger than its way takes", "nothing while rare; when each client meets it, raise the MTU towards the backends"},
		{bpf.ProgramReasonEVENT_ECHO, "an echo request to a VIP that was answered", "nothing"},
		{bpf.ProgramReasonEVENT_ICMP_ERROR, "an ICMP error sent on to the backend of its flow, or from a `nat` backend to its client", "nothing"},
		{bpf.ProgramReasonEVENT_FRAGMENT, "a later fragment that followed its first one", "nothing"},
		{bpf.ProgramReasonEVENT_RESET_CLIENT, "a packet of a session that is being moved, answered with a RST", "nothing"},
		{bpf.ProgramReasonEVENT_RESET_BACKEND, "such a session's first packet, turned into a RST for the backend that it leaves", "nothing"},
		{bpf.ProgramReasonEVENT_BUSY, "a new session of a service that is closed (`ebbtide close`) was told so", "nothing while it is meant to be closed"},
		{bpf.ProgramReasonEVENT_MSS, "a SYN, or in `nat` the answer to one, whose MSS was lowered", "nothing"},
	}
}
