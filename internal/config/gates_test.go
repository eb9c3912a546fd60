package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// readGates reads gates alone, as they stand in a release.
func readGates(text string) ([]Gate, Errors) {
	d := &decoder{file: "f", lines: map[string]int{}}
	v, ok := d.document([]byte(text))
	if !ok {
		return nil, d.sorted()
	}
	return v.gates(), d.sorted()
}

func TestGatesAreReadWithTheirDefaults(t *testing.T) {
	got, errs := readGates(`
- {name: early, kernel: early_ends, window: 10m, max: 2%, on_fail: rollback}
- {kernel: new_sessions}
- {kernel: new_sessions, name: storm, min: 0.25x, max: 3x}
- {kernel: resets}
- {health: 50%}
- {prometheus: {url: "http://127.0.0.1:9090", query: "sum(rate(errors[1m]))"}, max: 1e-2}
- {webhook: {url: "https://ops.example/may-we", secret_file: /etc/ebbtide/secret}, on_fail: tell}
- {approval: ops}
`)
	minute := 5 * time.Minute
	want := []Gate{
		{Name: "early", Kernel: EarlyEnds, Window: 10 * time.Minute, Max: &Bound{Value: 0.02}, OnFail: FailRollback},
		{Name: "new_sessions", Kernel: NewSessions, Window: minute, Min: &Bound{0.5, true}, OnFail: FailPause},
		{Name: "storm", Kernel: NewSessions, Window: minute, Min: &Bound{0.25, true}, Max: &Bound{3, true}, OnFail: FailPause},
		{Name: "resets", Kernel: Resets, Window: minute, Max: &Bound{1.5, true}, OnFail: FailPause},
		{Name: "health", Health: 0.5, Window: minute, OnFail: FailPause},
		{Name: "prometheus", Prometheus: Prometheus{"http://127.0.0.1:9090", "sum(rate(errors[1m]))"}, Window: minute, Max: &Bound{Value: 0.01}, OnFail: FailPause},
		{Name: "webhook", Webhook: "https://ops.example/may-we", SecretFile: "/etc/ebbtide/secret", OnFail: FailTell},
		{Name: "ops", Approval: "ops", OnFail: FailPause},
	}
	if len(errs) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, %v, want\n%+v", got, errs, want)
	}
}

func TestGatesAreThoseOfAService(t *testing.T) {
	cfg := mustParse(t, strings.Replace(sound, lobbyMode, lobbyMode+"\n    release: {testers: [192.0.2.7], gates: [{kernel: orphans}]}", 1))
	if lobby, _ := cfg.Service("lobby"); len(lobby.Release.Gates) != 1 || lobby.Release.Gates[0].Kernel != Orphans || len(lobby.Testers) != 1 {
		t.Errorf("got gates %+v and testers %v", lobby.Release.Gates, lobby.Testers)
	}
}

func TestMistakesOfGatesAreNamed(t *testing.T) {
	many := "[" + strings.Repeat("{approval: a}, ", 17) + "]"
	for _, row := range []struct{ name, text, want string }{
		{"no list", "{kernel: resets}", "f:1: want a list, got a map"},
		{"many", many, "f:1: 17 gates are more than 16"},
		{"none of all", "[{window: 5m}]", "f:1: [0]: want one of kernel, health, prometheus, webhook, approval"},
		{"two at once", "[{kernel: resets, health: 50%}]", "f:1: [0]: want one of kernel, health, prometheus, webhook, approval"},
		{"an unknown key", "[{kernal: resets}]", "f:1: [0].kernal: unknown key: did you mean kernel?\nf:1: [0]: want one of kernel, health, prometheus, webhook, approval"},
		{"a fact that is none", "[{kernel: cookies}]",
			`f:1: [0].kernel: want new_sessions or never_established or resets or early_ends or syn_retransmits or orphans, got "cookies"`},
		{"a name twice", "[{kernel: resets}, {kernel: resets}]", "f:1: [1]: gate resets is already [0] on line 1: give one of them another name"},
		{"a name with a space", "[{kernel: resets, name: too many}]", "f:1: [0].name: a gate's name is 1 to 63 of a-z, A-Z, 0-9, _ and -"},
		{"no time", "[{kernel: resets, window: 1s}]", "f:1: [0].window: want 5s to 24h, got 1s"},
		{"a share without its sign", "[{kernel: resets, max: 0.02}]", `f:1: [0].max: want a share over 0% and up to 100%, such as 2%, got "0.02"`},
		{"a share of nothing", "[{kernel: resets, max: 0%}]", `f:1: [0].max: want a share over 0% and up to 100%, such as 2%, got "0%"`},
		{"no number of times", "[{kernel: resets, max: NaNx}]", `f:1: [0].max: want a multiple of what it was before, such as 1.5x, got "NaNx"`},
		{"too few resets", "[{kernel: resets, min: 1x}]", "f:1: [0].min: few are no reason to stop: only new_sessions has a min"},
		{"a share of new sessions", "[{kernel: new_sessions, min: 50%}]", `f:1: [0].min: want a multiple of the rate before, such as 0.5x, got "50%"`},
		{"bounds that leave nothing", "[{kernel: new_sessions, min: 2x, max: 1x}]", "f:1: [0]: min 2x is more than max 1x"},
		{"health in plain", "[{health: 2}]", `f:1: [0].health: want a share over 0% and up to 100%, such as 2%, got "2"`},
		{"a bound of health", "[{health: 50%, max: 70%}]", "f:1: [0].max: a gate of this kind has no max"},
		{"a query without a bound", `[{prometheus: {url: "http://h", query: up}}]`, "f:1: [0]: want min or max: what the value of the query must be"},
		{"a bound that is no number", `[{prometheus: {url: "http://h", query: up}, min: 2x}]`, `f:1: [0].min: want a number, got "2x"`},
		{"no query", `[{prometheus: {url: "http://h", query: " "}, min: 1}]`, "f:1: [0].prometheus.query: want a query of 1 to 4096 bytes"},
		{"a password", `[{prometheus: {url: "http://a:b@h", query: up}, min: 1}]`, "f:1: [0].prometheus.url: a name or password in the address: sign with a secret_file"},
		{"another policy", "[{kernel: resets, on_fail: panic}]", `f:1: [0].on_fail: want rollback or pause or tell, got "panic"`},
		{"an approval that fails", "[{approval: ops, on_fail: rollback}]", "f:1: [0].on_fail: an approval that is not given fails nothing: the release waits"},
		{"an approval in time", "[{approval: ops, window: 5m}]", "f:1: [0].window: an approval has no window: it waits until it is given"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, errs := readGates(row.text); errs.Error() != row.want {
				t.Errorf("got\n%s\nwant\n%s", errs, row.want)
			}
		})
	}
}
