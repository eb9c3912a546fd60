package freeze

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/internal/config"
)

func mustCalendar(tb testing.TB, freezes ...config.Freeze) *Calendar {
	tb.Helper()
	c, err := New(freezes)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func berlin(cron string, length time.Duration, services ...string) config.Freeze {
	return config.Freeze{Services: services, Cron: cron, For: length, TimeZone: "Europe/Berlin", Reason: cron}
}

// In 2026 the clocks of Berlin go from 02:00 to 03:00 on 29 March and from 03:00 to 02:00 on 25 October.
func TestWindowsBeginAndEndByTheWallClock(t *testing.T) {
	weekend := berlin("0 18 * * 5", 60*time.Hour)
	for _, row := range []struct {
		name        string
		freeze      config.Freeze
		now         string
		from, until string // empty: not frozen
	}{
		{"the moment it begins", weekend, "2026-03-06T18:00:00+01:00", "2026-03-06T17:00:00Z", "2026-03-09T05:00:00Z"},
		{"the moment before", weekend, "2026-03-06T17:59:59+01:00", "", ""},
		{"its last moment", weekend, "2026-03-09T05:59:59+01:00", "2026-03-06T17:00:00Z", "2026-03-09T05:00:00Z"},
		{"the moment it ends", weekend, "2026-03-09T06:00:00+01:00", "", ""},
		{"the weekend that is an hour short", weekend, "2026-03-30T05:59:59+02:00", "2026-03-27T17:00:00Z", "2026-03-30T04:00:00Z"},
		{"and is over", weekend, "2026-03-30T06:00:00+02:00", "", ""},
		{"the weekend that is an hour long", weekend, "2026-10-26T05:59:59+01:00", "2026-10-23T16:00:00Z", "2026-10-26T05:00:00Z"},
		{"and is over, too", weekend, "2026-10-26T06:00:00+01:00", "", ""},
		{"a beginning that never comes", berlin("30 2 * * *", time.Hour), "2026-03-29T03:00:00+02:00", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"},
		{"an end that never comes", berlin("30 1 * * *", time.Hour), "2026-03-29T01:59:59+01:00", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"and is over at the jump", berlin("30 1 * * *", time.Hour), "2026-03-29T03:00:00+02:00", "", ""},
		{"a window in the hour that never comes", berlin("10 2 * * *", 20*time.Minute), "2026-03-29T03:00:00+02:00", "", ""},
		{"a beginning that comes twice", berlin("30 2 * * *", time.Hour), "2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"},
		{"the second time it is long since", berlin("30 2 * * *", time.Hour), "2026-10-25T02:10:00+01:00", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"},
		{"an end that comes twice", berlin("30 1 * * *", time.Hour), "2026-10-25T02:29:59+01:00", "2026-10-24T23:30:00Z", "2026-10-25T01:30:00Z"},
		{"a window in the hour that comes twice", berlin("10 2 * * *", 20*time.Minute), "2026-10-25T02:29:59+01:00", "2026-10-25T00:10:00Z", "2026-10-25T01:30:00Z"},
		{"the longest window", berlin("0 0 1 1 *", config.MaxFreeze), "2026-12-31T23:59:59+01:00", "2025-12-31T23:00:00Z", ""},
		{"the day that most years lack", berlin("0 0 29 2 *", 24*time.Hour), "2028-02-29T12:00:00+01:00", "2028-02-28T23:00:00Z", "2028-02-29T23:00:00Z"},
		{"years before", berlin("0 0 29 2 *", 24*time.Hour), "2027-03-01T12:00:00+01:00", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, held := mustCalendar(t, row.freeze).Holds("world", at(row.now))
			if held != (row.from != "") {
				t.Fatalf("frozen: %v, from %s until %s", held, w.From, w.Until)
			}
			if held && (!w.From.Equal(at(row.from)) || row.until != "" && !w.Until.Equal(at(row.until)) || w.Reason != row.freeze.Reason) {
				t.Errorf("frozen from %s until %s for %q", w.From, w.Until, w.Reason)
			}
		})
	}
}

func TestWindowsThatTouchAreOne(t *testing.T) {
	c := mustCalendar(t,
		berlin("0 18 * * 5", 30*time.Hour), berlin("0 0 * * 0", 30*time.Hour, "world"), berlin("0 5 * * 1", 2*time.Hour, "lobby"))
	for service, want := range map[string]string{
		"world": "2026-03-09T06:00:00+01:00", "lobby": "2026-03-08T00:00:00+01:00",
	} {
		if w, held := c.Holds(service, at("2026-03-06T20:00:00+01:00")); !held || !w.Until.Equal(at(want)) {
			t.Errorf("%s is frozen: %v, until %s", service, held, w.Until)
		}
	}
	if w, held := mustCalendar(t, berlin("0 0 * * *", 24*time.Hour)).Holds("world", at("2026-03-06T20:00:00Z")); !held || w.Until.IsZero() {
		t.Error("windows that never leave a gap have no end that could be told")
	}
}

func TestTheNextWindowIsTheFirstThatBegins(t *testing.T) {
	c := mustCalendar(t, berlin("0 18 * * 5", 60*time.Hour), berlin("0 12 24 12 *", 100*time.Hour, "world"))
	for _, row := range []struct{ service, now, from string }{
		{"world", "2026-03-06T17:59:59+01:00", "2026-03-06T18:00:00+01:00"},
		{"world", "2026-03-06T18:00:00+01:00", "2026-03-13T18:00:00+01:00"},
		{"world", "2026-12-23T18:00:00+01:00", "2026-12-24T12:00:00+01:00"},
		{"lobby", "2026-12-23T18:00:00+01:00", "2026-12-25T18:00:00+01:00"},
	} {
		if w, found := c.Next(row.service, at(row.now)); !found || !w.From.Equal(at(row.from)) {
			t.Errorf("%s at %s: %v, from %s", row.service, row.now, found, w.From)
		}
	}
	swallowed := mustCalendar(t, berlin("10 2 29 3 *", 20*time.Minute))
	if w, found := swallowed.Next("world", at("2026-03-28T12:00:00Z")); !found || w.From.Year() != 2027 {
		t.Errorf("a window that is left out: %v, from %s", found, w.From)
	}
	if _, found := new(Calendar).Next("world", at("2026-03-06T18:00:00Z")); found {
		t.Error("a window out of nothing")
	}
}

// The calendar agrees with somebody who looks at a clock on the wall every minute.
func TestTheCalendarAgreesWithTheWall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minute, hour := rapid.IntRange(0, 59).Draw(t, "minute"), rapid.IntRange(0, 4).Draw(t, "hour")
		day := rapid.SampledFrom([]string{"*", "0", "6"}).Draw(t, "day")
		length := time.Duration(rapid.IntRange(60, 2*1440).Draw(t, "length")) * time.Minute
		name := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}).Draw(t, "zone")
		change := rapid.SampledFrom([]string{"2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"}).Draw(t, "change")
		f := config.Freeze{Cron: fmt.Sprintf("%d %d * * %s", minute, hour, day), For: length, TimeZone: name, Reason: "r"}
		c, err := New([]config.Freeze{f})
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		begin := at(change + "T00:00:00Z").Add(-3 * 24 * time.Hour)
		isBegin := func(s time.Time) bool {
			return s.Minute() == minute && s.Hour() == hour && (day == "*" || fmt.Sprint(int(s.Weekday())) == day)
		}
		frozen := watched(begin, 5*24*60, zone, length, isBegin)
		for i := 2*24*60 + 60; i < len(frozen); i++ { // what began earlier nobody has seen
			if frozen[i] == frozen[i-1] && i%911 != 0 {
				continue // looked at around each change, and now and then
			}
			for _, j := range []int{i - 1, i} {
				now := begin.Add(time.Duration(j) * time.Minute)
				if _, held := c.Holds("world", now); held != frozen[j] {
					t.Fatalf("%s for %s in %s at %s: frozen %v, want %v", f.Cron, length, name, now.In(zone), held, frozen[j])
				}
			}
		}
	})
}

// watched is what somebody finds who looks at the wall every minute. A window begins when its time is seen, or was jumped
// over, for the first time; it lasts as long as the clock shows less than its end, or will show that again.
func watched(begin time.Time, minutes int, zone *time.Location, length time.Duration, isBegin func(time.Time) bool) []bool {
	shows := make([]time.Time, minutes+180)
	least := slices.Clone(shows) // from then on
	for i := len(shows) - 1; i >= 0; i-- {
		shows[i] = wall(begin.Add(time.Duration(i)*time.Minute), zone)
		if least[i] = shows[i]; i+1 < len(shows) && least[i+1].Before(shows[i]) {
			least[i] = least[i+1]
		}
	}
	frozen := make([]bool, minutes)
	newest, end := shows[0].Add(-time.Minute), time.Time{}
	for i := range frozen {
		for ; newest.Before(shows[i]); newest = newest.Add(time.Minute) {
			if s := newest.Add(time.Minute); isBegin(s) {
				end = s.Add(length)
			}
		}
		frozen[i] = shows[i].Before(end) || !least[i+1].After(end)
	}
	return frozen
}

func TestWhatIsNoCalendarIsRefused(t *testing.T) {
	for want, f := range map[string]config.Freeze{
		"freeze window 0: cron: ":      {Cron: "0 18 * *", For: time.Hour, TimeZone: "UTC"},
		"freeze window 0: time_zone: ": {Cron: "0 18 * * *", For: time.Hour, TimeZone: "Mars/Olympus"},
	} {
		if _, err := New([]config.Freeze{f}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
