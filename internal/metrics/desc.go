package metrics

import "github.com/prometheus/client_golang/prometheus"

// desc is a metric's name, help and labels, and of which kind it is.
type desc struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) desc {
	return desc{prometheus.NewDesc("ebbtide_"+name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) desc {
	return desc{prometheus.NewDesc("ebbtide_"+name, help, labels, nil), prometheus.GaugeValue}
}

func (d desc) send(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d.Desc, d.kind, value, labels...)
}

// Of each generation. The colour is empty once another generation has its slot.
var (
	packets = counter("packets_total", "Packets from clients to backends.", "service", "generation", "colour")
	bytes   = counter("bytes_total", "Bytes from clients to backends.", "service", "generation", "colour")

	newSessions = counter("new_sessions_total", "Sessions that were pinned as new.", "service", "generation", "colour")
	orphans     = counter("orphans_total", "Sessions that were pinned from a packet in mid-stream.", "service", "generation", "colour")
	reopened    = counter("reopened_total", "SYNs on an established flow, which kept its pin.", "service", "generation", "colour")
	unpinned    = counter("unpinned_total", "Packets of new flows that found no slot.", "service", "generation", "colour")

	newAfterFlip = gauge("new_sessions_after_flip",
		"New sessions since the flip away from the generation. Must stay 0.", "service", "generation")
	sessions = gauge("sessions", "Sessions in the flow table at the last sweep.", "service", "generation", "colour", "state")

	generationInfo = gauge("generation_info", "Always 1: which version a generation is and where it stands.",
		"service", "generation", "colour", "version", "state")
)

// Of this host.
var (
	drops  = counter("drops_total", "Packets for a listener that were dropped.", "reason")
	passes = counter("passes_total", "Packets that were passed to the kernel's stack.", "reason")
	events = counter("events_total", "Events in the flow table.", "event")

	tableSlots    = gauge("table_slots", "Slots of the flow table, its overflow included.", "family")
	tableUsed     = gauge("table_used_slots", "Slots that held a flow at the last sweep.", "family")
	tableOverflow = gauge("table_overflow_used_slots", "Those of them that lie in the overflow.", "family")

	interfaceGeneric = gauge("interface_generic", "1 when XDP runs in generic mode on the interface, which is slow.", "interface")
	sweepSeconds     = gauge("sweep_seconds", "How long the last sweep took.")
	lastSweep        = gauge("last_sweep_timestamp_seconds", "When the last sweep ended.")
)
