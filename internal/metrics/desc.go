package metrics

// desc is a metric's name, kind and help, and its labels in alphabetical order.
type desc struct {
	name, kind, help string
	labels           []string
}

func counter(name, help string, labels ...string) desc { return desc{name, "counter", help, labels} }

func gauge(name, help string, labels ...string) desc { return desc{name, "gauge", help, labels} }

// counted is a metric that each generation has.
type counted struct {
	desc
	of func(Generation) uint64
}

// perGeneration has a line a count.
func perGeneration() []counted {
	count := func(name, help string, of func(Generation) uint64) counted {
		return counted{counter(name, help, "colour", "generation", "service"), of}
	}
	return []counted{
		count("packets_total", "Packets from clients to backends.", func(g Generation) uint64 { return g.Packets }),
		count("bytes_total", "Bytes from clients to backends.", func(g Generation) uint64 { return g.Bytes }),
		count("new_sessions_total", "Sessions that were pinned as new.", func(g Generation) uint64 { return g.New }),
		count("orphans_total", "Sessions that were pinned from a packet in mid-stream.", func(g Generation) uint64 { return g.Orphans }),
		count("reopened_total", "SYNs on an established flow, which kept its pin.", func(g Generation) uint64 { return g.Reopened }),
		count("rejoined_total", "Flows that joined a client's session whose last flow had ended.", func(g Generation) uint64 { return g.Rejoined }),
		count("moved_total", "Sessions that were taken from the generation: evicted, or their backend was lost.", func(g Generation) uint64 { return g.Moved }),
		count("unpinned_total", "Packets of new flows that found no slot.", func(g Generation) uint64 { return g.Unpinned }),
	}
}

// Of each backend.
var (
	backendSessions = gauge("backend_sessions", "Sessions of a backend in the flow table at the last sweep.", "backend", "generation", "service")
	backendPackets  = counter("backend_packets_total", "Packets from clients to a backend.", "backend", "generation", "service")
	backendHealthy  = gauge("backend_healthy", "1 while a backend is well, 0 while its checks say that it is sick.", "backend", "generation", "service")
	backendReached  = gauge("backend_reachable", "1 while the next hop of each address of a backend is known, 0 while one is not.", "backend", "generation", "service")
	backendPlayers  = gauge("backend_players", "Players that a backend says that it holds.", "backend", "generation", "service")
	backendFree     = gauge("backend_free_players", "How many more players a backend says that it takes.", "backend", "generation", "service")
	backendBytes    = counter("backend_bytes_total", "Bytes from clients to a backend.", "backend", "generation", "service")
)

// Of each generation. The colour is empty once another generation has its slot.
var (
	newAfterFlip = gauge("new_sessions_after_flip",
		"New sessions since the flip away from the generation. Must stay 0.", "generation", "service")
	sessions = gauge("sessions", "Sessions in the flow table at the last sweep.", "colour", "generation", "service", "state")

	generationInfo = gauge("generation_info", "Always 1: which version a generation is and where it stands.",
		"colour", "generation", "service", "state", "version")

	generationRole = gauge("generation_role",
		"Always 1: a role that a generation has, live, draining, candidate or stable. A stable one has another, too, until it is drained.",
		"colour", "generation", "role", "service", "version")
)

// Of each service. Those of gates stay until another release has gates, or the daemon ends.
var (
	releaseSince = gauge("release_since_timestamp_seconds",
		"When the newest release of a service came into the state that it is in.", "release", "service", "state", "strategy")
	gateVerdict = gauge("gate_verdict", "Always 1: what a gate of the newest release that has any said last, pass, fail, pending or unknown.",
		"gate", "on_fail", "release", "service", "verdict")
)

// Of this host.
var (
	backendsUnlisted = gauge("backends_unlisted", "Backends without series of their own: all of them, when there are too many.")

	drops  = counter("drops_total", "Packets for a listener that were dropped.", "reason")
	passes = counter("passes_total", "Packets that were passed to the kernel's stack.", "reason")
	events = counter("events_total", "Events in the flow table.", "event")

	tableMaxFlows = gauge("table_max_flows", "Flows of each family that the table holds with its overflow idle.")
	tableSlots    = gauge("table_slots", "Slots of the flow table, its overflow included.", "family")
	tableUsed     = gauge("table_used_slots", "Slots that held a flow at the last sweep.", "family")
	tableOverflow = gauge("table_overflow_used_slots", "Those of them that lie in the overflow.", "family")
	tableProbe    = gauge("table_longest_probe_lines",
		"Lines that the lookup of a flow has to visit at most, of a sample of flows and all of the overflow; 1 is the best, 8 the end.", "family")

	interfaceAttached = gauge("interface_attached", "1 while our program runs on the interface, 0 while none does or somebody else's.", "interface")
	interfaceGeneric  = gauge("interface_generic", "1 when XDP runs in generic mode on the interface, which is slow.", "interface")
	clockSet          = gauge("clock_set_seconds", "By how much the wall clock was set since the daemon started, against a clock that nobody sets.")
	sweepSeconds      = gauge("sweep_seconds", "How long the last sweep took.")
	lastSweep         = gauge("last_sweep_timestamp_seconds", "When the last sweep ended.")
)

// descs lists all metrics, in the order in which they are shown.
func descs() (out []desc) {
	for _, m := range perGeneration() {
		out = append(out, m.desc)
	}
	out = append(out, sessions, newAfterFlip, generationInfo, generationRole)
	return append(out, backendSessions, backendPackets, backendBytes, backendHealthy, backendReached, backendPlayers, backendFree, backendsUnlisted, releaseSince, gateVerdict,
		drops, passes, events, tableMaxFlows, tableSlots, tableUsed, tableOverflow, tableProbe,
		interfaceAttached, interfaceGeneric, clockSet, sweepSeconds, lastSweep)
}
