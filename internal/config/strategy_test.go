package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const noticed = "hooks: {notice: [{exec: [/bin/notice]}]}"

func withRelease(strategy, release string) string {
	return lobbyMode + "\n    strategy: " + strategy + "\n    release: {" + release + "}"
}

func TestAReleaseIsReadWithItsDefaults(t *testing.T) {
	notice := map[string][]Hook{"notice": {{Exec: []string{"/bin/notice"}, Timeout: 30 * time.Second, Retries: 3}}}
	for _, row := range []struct {
		strategy, text string
		want           Release
	}{
		{"session", "", Release{Bake: 15 * time.Minute, Migrate: Migrate{50, time.Second}}},
		{"instant", "bake: 0s", Release{Migrate: Migrate{50, time.Second}}},
		{"rolling", "", Release{Batch: 1, Migrate: Migrate{50, time.Second}}},
		{"in-place", "window: 1h, busy: icmp", Release{Busy: BusyICMP, Window: time.Hour, Migrate: Migrate{50, time.Second}}},
		{"canary", "", Release{Bake: 15 * time.Minute, Migrate: Migrate{50, time.Second}, Steps: []Step{{500, 10 * time.Minute}, {2500, 10 * time.Minute}}}},
		{"canary", "steps: [{share: 0.25%, for: 1m}, {share: 100%, for: 0s}], migrate: {batch: 7, every: 2s}",
			Release{Bake: 15 * time.Minute, Migrate: Migrate{7, 2 * time.Second}, Steps: []Step{{25, time.Minute}, {10000, 0}}}},
		{"session", `deadline: 2h, notice: {at: [3 sessions, 1 session, 90%, -10m], every: 5m, batch: 9}, ` + noticed,
			Release{Bake: 15 * time.Minute, Deadline: 2 * time.Hour, Migrate: Migrate{50, time.Second}, Hooks: notice,
				Notice: &Notice{[]NoticeAt{{Sessions: 3}, {Sessions: 1}, {Percent: 90}, {Before: 10 * time.Minute}}, 5 * time.Minute, 9}}},
	} {
		cfg := mustParse(t, strings.Replace(sound, lobbyMode, withRelease(row.strategy, row.text), 1))
		lobby, _ := cfg.Service("lobby")
		if string(lobby.Strategy) != row.strategy || !reflect.DeepEqual(lobby.Release, row.want) {
			t.Errorf("%s {%s}: %+v\nwant %+v", row.strategy, row.text, lobby.Release, row.want)
		}
	}
}

func TestMistakesOfReleasesAreNamed(t *testing.T) {
	at := "19: services.lobby.release."
	refuse(t, []mistake{
		{"a strategy that is none", lobbyMode, lobbyMode + "\n    strategy: big-bang",
			[]string{`18: services.lobby.strategy: want session or instant or canary or rolling or in-place, got "big-bang"`}},
		{"a key of another strategy", lobbyMode, withRelease("instant", "deadline: 1h, window: 1h"), []string{
			at + "deadline: strategy instant has no deadline: it is of session or canary",
			at + "window: strategy instant has no window: it is of in-place"}},
		{"a bake that never ends", lobbyMode, withRelease("session", "bake: 1000h"), []string{at + "bake: want 0s to 720h, got 1000h"}},
		{"a notice that nobody gets", lobbyMode, withRelease("session", "deadline: 1h, notice: {at: [90%]}"),
			[]string{at + "notice: nobody would be told: give the release a hook of the name notice"}},
		{"a notice that is never due", lobbyMode, withRelease("session", "notice: {batch: 3}, "+noticed),
			[]string{at + "notice: it is never due: give at, every, or a deadline to the release"}},
		{"a moment before no deadline", lobbyMode, withRelease("session", "notice: {at: [-10m]}, "+noticed),
			[]string{at + "notice.at[0]: the release has no deadline"}},
		{"a moment before the flip", lobbyMode, withRelease("session", "deadline: 5m, notice: {at: [-10m]}, "+noticed),
			[]string{at + "notice.at[0]: the deadline is 5m after the flip"}},
		{"a moment that is none", lobbyMode, withRelease("session", "notice: {at: [soon, 101%, 0 sessions]}, "+noticed), []string{
			at + `notice.at[0]: want "3 sessions" (left), "90%" (ended) or "-10m" (before the deadline), got "soon"`,
			at + `notice.at[1]: want "3 sessions" (left), "90%" (ended) or "-10m" (before the deadline), got "101%"`,
			at + `notice.at[2]: want "3 sessions" (left), "90%" (ended) or "-10m" (before the deadline), got "0 sessions"`}},
		{"steps that go down", lobbyMode, withRelease("canary", "steps: [{share: 5%, for: 1m}, {share: 5%, for: 1m}]"),
			[]string{at + "steps[1].share: a step has a larger share than the one before it"}},
		{"a share of nothing", lobbyMode, withRelease("canary", "steps: [{share: 0%, for: 1m}]"),
			[]string{at + `steps[0].share: want a share from 0.01% to 100% in steps of 0.01%, such as 5%, got "0%"`}},
		{"a step without a time", lobbyMode, withRelease("canary", "steps: [{share: 5%}]"), []string{at + "steps[0].for: missing"}},
		{"gates that count what is closed", lobbyMode, withRelease("in-place", "gates: [{kernel: resets, max: 2%}]"), []string{at +
			"gates[0]: strategy in-place: its gates are watched before it opens, when there are no sessions to count: ask prometheus, a webhook, health or somebody's approval"}},
		{"gates that compare with nothing", lobbyMode, withRelease("rolling", "gates: [{approval: ops}, {kernel: new_sessions}, {kernel: resets}, {kernel: orphans, max: 2%}]"), []string{
			at + "gates[1]: strategy rolling: there is no new generation whose sessions could be told from the old one's: new_sessions compares the two",
			at + "gates[2]: strategy rolling: there is no second generation to compare with: give resets a max that is a share, such as 2%"}},
		{"a gate that can't take a batch back", lobbyMode, withRelease("rolling", "gates: [{health: 50%, on_fail: rollback}]"), []string{at +
			"gates[0]: strategy rolling: what was changed under no session can't be changed back under those that came: on_fail is pause, which lets the batch rest, or tell"}},
		{"a gate that takes nothing back", lobbyMode, withRelease("in-place", "gates: [{health: 50%, on_fail: rollback}]"), []string{at +
			"gates[0]: strategy in-place: nothing would be taken back: give the release a hook of the name rollback, or on_fail: pause"}},
		{"a batch in no time", lobbyMode, withRelease("session", "migrate: {every: 1ms}"), []string{at + "migrate.every: want 100ms to 1h, got 1ms"}},
	})
}
