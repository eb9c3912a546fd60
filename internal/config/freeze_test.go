package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// withFreeze puts a freeze window on line 2.
func withFreeze(window string) string { return "freeze: [" + window + "]\nservices:" }

func TestFreezeWindowsAreRead(t *testing.T) {
	cfg := mustParse(t, strings.Replace(sound, "services:", withFreeze(
		`{services: [world, lobby], cron: "0 18 * * 5", for: 60h, time_zone: Europe/Berlin, reason: weekend}, `+
			`{cron: "30 0 24-26 DEC *", for: 1m, reason: holidays}`), 1))
	want := []Freeze{
		{[]string{"world", "lobby"}, "0 18 * * 5", 60 * time.Hour, "Europe/Berlin", "weekend"},
		{nil, "30 0 24-26 DEC *", time.Minute, "UTC", "holidays"},
	}
	if !reflect.DeepEqual(cfg.Freeze, want) {
		t.Errorf("got %+v", cfg.Freeze)
	}
}

func TestMistakesOfFreezeWindowsAreNamed(t *testing.T) {
	with := func(old, new string) string {
		return withFreeze(strings.Replace(`{services: [world], cron: "0 18 * * 5", for: 60h, time_zone: Europe/Berlin, reason: weekend}`, old, new, 1))
	}
	refuse(t, []mistake{
		{"a window that is nothing", "services:", withFreeze("{}"), []string{
			"2: freeze[0].cron: missing", "2: freeze[0].for: missing", "2: freeze[0].reason: missing"}},
		{"an unknown key", "services:", with("reason:", "why:"), []string{
			"2: freeze[0].why: unknown key: the keys here are services, cron, for, time_zone, reason",
			"2: freeze[0].reason: missing"}},
		{"a service that is none", "services:", with("[world]", "[world, words]"),
			[]string{`2: freeze[0].services[1]: there is no service "words"`}},
		{"a service twice", "services:", with("[world]", "[world, world]"),
			[]string{"2: freeze[0].services[1]: world is already freeze[0].services[0] on line 2"}},
		{"no service", "services:", with("[world]", "[]"), []string{"2: freeze[0].services: empty list"}},
		{"four fields", "services:", with("0 18 * * 5", "18 * * 5"),
			[]string{`2: freeze[0].cron: want five fields such as "0 18 * * 5", got "18 * * 5": expected exactly 5 fields, found 4: [18 * * 5]`}},
		{"a zone in the schedule", "services:", with("0 18 * * 5", "TZ=UTC"),
			[]string{`2: freeze[0].cron: want five fields such as "0 18 * * 5", got "TZ=UTC"`}},
		{"a day that never comes", "services:", with("0 18 * * 5", "0 0 30 2 *"),
			[]string{`2: freeze[0].cron: "0 0 30 2 *" never comes`}},
		{"too short", "services:", with("60h", "59s"), []string{"2: freeze[0].for: want 1m to 8784h, got 59s"}},
		{"too long", "services:", with("60h", "8785h"), []string{"2: freeze[0].for: want 1m to 8784h, got 8785h"}},
		{"half a second", "services:", with("60h", "60.5s"), []string{"2: freeze[0].for: 1m0.5s is not a whole number of seconds"}},
		{"the host's zone", "services:", with("Europe/Berlin", "Local"),
			[]string{"2: freeze[0].time_zone: want the name of a time zone such as Europe/Berlin or UTC"}},
		{"a zone that is none", "services:", with("Europe/Berlin", "Europe/Bern"),
			[]string{`2: freeze[0].time_zone: want the name of a time zone such as Europe/Berlin or UTC, got "Europe/Bern"`}},
		{"no reason", "services:", with("reason: weekend", `reason: " "`),
			[]string{"2: freeze[0].reason: want 1 to 200 bytes: whoever is kept out wants to know"}},
	})
}

func FuzzParseCron(f *testing.F) {
	for _, text := range []string{"0 18 * * 5", "*/5 0-4 1,15 JAN-MAR mon", "@daily", "TZ=UTC", "CRON_TZ=", "0 0 30 2 *", "60 * * * *", "? ? ? ? ?"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseCron(text)
		if err == nil && s.Next(time.Unix(0, 0).UTC()).IsZero() {
			t.Errorf("%q never comes", text)
		}
	})
}
