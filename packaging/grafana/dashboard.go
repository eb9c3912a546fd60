// Package grafana makes the dashboard, ebbtide.json, which its test writes and checks.
package grafana

import "encoding/json"

// Panel is one of the dashboard.
type Panel struct {
	Title, About string
	Kind         string // timeseries, stat, table or state-timeline
	Unit         string // Grafana's name of it; empty: a number
	Stacked      bool
	Targets      []Target
	Quiet        string // why it may show nothing on a good day; empty: it shows something wherever sessions are
}

// Target is a query of a panel.
type Target struct {
	Expr, Legend string
}

// Row is a heading and the panels below it.
type Row struct {
	Title  string
	Panels []Panel
}

// Variable is a choice at the head of the dashboard: the values of a label of a metric.
type Variable struct {
	Name, Metric, Label string
}

// Variables in their order. Each is narrowed by those before it.
func Variables() []Variable {
	return []Variable{{"instance", "ebbtide_table_max_flows", "instance"}, {"service", "ebbtide_sessions" + onHost, "service"}}
}

// What narrows a query to the choice: of a metric of services, and of one of the host.
const (
	chosen = `{instance=~"$instance", service=~"$service"}`
	onHost = `{instance=~"$instance"}`
)

// FlipMarks is true at the moments at which another generation became live.
const FlipMarks = `ebbtide_generation_role{instance=~"$instance", service=~"$service", role="live"}` +
	` unless ebbtide_generation_role{instance=~"$instance", service=~"$service", role="live"} offset 1m`

// role narrows what is of generations to those that have it.
func role(expr, name string) string {
	return expr + ` and on (instance, service, generation) ebbtide_generation_role{instance=~"$instance", service=~"$service", role="` + name + `"}`
}

// Rows of the dashboard, from what players feel to what the daemon needs.
func Rows() []Row {
	return []Row{tide(), releases(), backends(), table(), packets(), daemon()}
}

func tide() Row {
	ofGeneration := "{{service}} generation {{generation}}"
	sessions := "sum by (instance, service, generation) (ebbtide_sessions" + chosen + ")"
	return Row{"The tide", []Panel{
		{Title: "Sessions by generation", Kind: "timeseries", Stacked: true, Targets: []Target{{sessions, ofGeneration}}},
		{Title: "New sessions", Unit: "cps", Kind: "timeseries", Targets: []Target{
			{"sum by (service, generation) (rate(ebbtide_new_sessions_total" + chosen + "[$__rate_interval]))", ofGeneration}}},
		{Title: "Left on draining generations", Kind: "timeseries", Quiet: "nothing drains", Targets: []Target{{role(sessions, "draining"), ofGeneration}}},
		{Title: "New sessions after the flip", About: "Must stay 0.", Kind: "stat", Quiet: "nothing was flipped",
			Targets: []Target{{"max by (service, generation) (ebbtide_new_sessions_after_flip" + chosen + ")", ofGeneration}}},
		{Title: "Orphans, reopened, moved", Unit: "cps", Kind: "timeseries", Targets: []Target{
			{"sum by (service) (rate(ebbtide_orphans_total" + chosen + "[$__rate_interval]))", "{{service}} orphans"},
			{"sum by (service) (rate(ebbtide_reopened_total" + chosen + "[$__rate_interval]))", "{{service}} reopened"},
			{"sum by (service) (rate(ebbtide_moved_total" + chosen + "[$__rate_interval]))", "{{service}} moved"}}},
		{Title: "Sessions by state", Kind: "timeseries", Stacked: true,
			Targets: []Target{{"sum by (service, state) (ebbtide_sessions" + chosen + ")", "{{service}} {{state}}"}}},
	}}
}

func releases() Row {
	return Row{"Generations and releases", []Panel{
		{Title: "Generations", Kind: "table", Targets: []Target{{"ebbtide_generation_role" + chosen, ""}, {"ebbtide_generation_info" + chosen, ""}}},
		{Title: "Newest release", About: "How long it has been in its state.", Unit: "s", Kind: "table", Quiet: "nothing was released",
			Targets: []Target{{"time() - ebbtide_release_since_timestamp_seconds" + chosen, ""}}},
		{Title: "Gates", Kind: "table", Quiet: "no release had gates", Targets: []Target{{"ebbtide_gate_verdict" + chosen, ""}}},
	}}
}

func backends() Row {
	ofBackend := "{{service}} {{backend}}"
	return Row{"Backends", []Panel{
		{Title: "Sessions", Kind: "timeseries", Targets: []Target{{"ebbtide_backend_sessions" + chosen, ofBackend}}},
		{Title: "Packets", Unit: "pps", Kind: "timeseries",
			Targets: []Target{{"rate(ebbtide_backend_packets_total" + chosen + "[$__rate_interval])", ofBackend}}},
		{Title: "Bytes", Unit: "Bps", Kind: "timeseries",
			Targets: []Target{{"rate(ebbtide_backend_bytes_total" + chosen + "[$__rate_interval])", ofBackend}}},
		{Title: "Reachable", Kind: "state-timeline", Targets: []Target{{"ebbtide_backend_reachable" + chosen, ofBackend}}},
		{Title: "Healthy", Kind: "state-timeline", Quiet: "nobody asks for health", Targets: []Target{{"ebbtide_backend_healthy" + chosen, ofBackend}}},
		{Title: "Players and room", Kind: "timeseries", Quiet: "no backend tells its occupancy", Targets: []Target{
			{"ebbtide_backend_players" + chosen, ofBackend + " players"}, {"ebbtide_backend_free_players" + chosen, ofBackend + " free"}}},
		{Title: "Without series of their own", Kind: "stat", Targets: []Target{{"ebbtide_backends_unlisted" + onHost, "{{instance}}"}}},
	}}
}

func table() Row {
	ofFamily := "{{instance}} {{family}}"
	return Row{"Flow table", []Panel{
		{Title: "Used, of max_flows", Unit: "percentunit", Kind: "timeseries", Targets: []Target{
			{"ebbtide_table_used_slots" + onHost + " / on (instance) group_left () ebbtide_table_max_flows" + onHost, ofFamily}}},
		{Title: "Used, of slots", Kind: "timeseries", Targets: []Target{
			{"ebbtide_table_used_slots" + onHost, ofFamily + " used"}, {"ebbtide_table_slots" + onHost, ofFamily + " slots"}}},
		{Title: "In the overflow", Kind: "timeseries", Targets: []Target{{"ebbtide_table_overflow_used_slots" + onHost, ofFamily}}},
		{Title: "Longest probe, in lines", Kind: "timeseries", Targets: []Target{{"ebbtide_table_longest_probe_lines" + onHost, ofFamily}}},
		{Title: "Unpinned packets", About: "Must stay 0.", Unit: "pps", Kind: "timeseries",
			Targets: []Target{{"sum by (service) (rate(ebbtide_unpinned_total" + chosen + "[$__rate_interval]))", "{{service}}"}}},
		{Title: "Events", Unit: "cps", Kind: "timeseries",
			Targets: []Target{{"sum by (event) (rate(ebbtide_events_total" + onHost + "[$__rate_interval]))", "{{event}}"}}},
		{Title: "Joined again", Unit: "cps", Kind: "timeseries",
			Targets: []Target{{"sum by (service) (rate(ebbtide_rejoined_total" + chosen + "[$__rate_interval]))", "{{service}}"}}},
	}}
}

func packets() Row {
	return Row{"Packets", []Panel{
		{Title: "Packets from clients", Unit: "pps", Kind: "timeseries", Stacked: true, Targets: []Target{
			{"sum by (service, generation) (rate(ebbtide_packets_total" + chosen + "[$__rate_interval]))", "{{service}} generation {{generation}}"}}},
		{Title: "Bytes from clients", Unit: "Bps", Kind: "timeseries", Stacked: true, Targets: []Target{
			{"sum by (service, generation) (rate(ebbtide_bytes_total" + chosen + "[$__rate_interval]))", "{{service}} generation {{generation}}"}}},
		{Title: "Dropped", Unit: "pps", Kind: "timeseries",
			Targets: []Target{{"sum by (reason) (rate(ebbtide_drops_total" + onHost + "[$__rate_interval]))", "{{reason}}"}}},
		{Title: "Passed to the kernel", Unit: "pps", Kind: "timeseries",
			Targets: []Target{{"sum by (reason) (rate(ebbtide_passes_total" + onHost + "[$__rate_interval]))", "{{reason}}"}}},
	}}
}

func daemon() Row {
	of := func(expr string) []Target { return []Target{{expr, "{{instance}}"}} }
	return Row{"Host and daemon", []Panel{
		{Title: "Our program runs", Kind: "state-timeline", Targets: []Target{{"ebbtide_interface_attached" + onHost, "{{instance}} {{interface}}"}}},
		{Title: "Generic mode", About: "1 is slow.", Kind: "state-timeline", Targets: []Target{{"ebbtide_interface_generic" + onHost, "{{instance}} {{interface}}"}}},
		{Title: "Age of the last sweep", Unit: "s", Kind: "timeseries", Targets: of("time() - ebbtide_last_sweep_timestamp_seconds" + onHost)},
		{Title: "A sweep takes", Unit: "s", Kind: "timeseries", Targets: of("ebbtide_sweep_seconds" + onHost)},
		{Title: "The wall clock was set by", Unit: "s", Kind: "timeseries", Targets: of("ebbtide_clock_set_seconds" + onHost)},
		{Title: "Memory", Unit: "bytes", Kind: "timeseries", Targets: of(`process_resident_memory_bytes{job="ebbtide", instance=~"$instance"}`)},
		{Title: "CPU", Unit: "percentunit", Kind: "timeseries", Targets: of(`rate(process_cpu_seconds_total{job="ebbtide", instance=~"$instance"}[$__rate_interval])`)},
		{Title: "Open files", Kind: "timeseries", Targets: of(`process_open_fds{job="ebbtide", instance=~"$instance"}`)},
		{Title: "Goroutines", Kind: "timeseries", Targets: of(`go_goroutines{job="ebbtide", instance=~"$instance"}`)},
	}}
}

// JSON is the dashboard as Grafana imports it.
func JSON() ([]byte, error) {
	data, err := json.MarshalIndent(dashboard(), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}
