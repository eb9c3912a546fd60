package config

import (
	"strconv"
	"strings"
	"time"
)

// Notice is when the hooks of that name tell those who are left.
type Notice struct {
	At    []NoticeAt    // each once
	Every time.Duration // after the first one, or from the drain's beginning where At is empty; 0: not again
	Batch uint32        // of what is left, in one call
}

// NoticeAt is a moment at which a notice is due: one of its fields says which.
type NoticeAt struct {
	Sessions uint64        // no more than so many are left
	Percent  int           // so many of those at the flip have ended
	Before   time.Duration // the deadline
}

// What holds where the file says nothing, and the most that it may say.
const (
	defaultNoticeBatch = 100
	maxNoticeBatch     = 10_000
	maxNoticeAt        = 16
)

// notice reads when people are told. It is due once before the deadline's end in any case.
func (v value) notice(r Release) *Notice {
	n := &Notice{Batch: defaultNoticeBatch}
	fields, ok := v.mapping("at", "every", "batch")
	if !ok {
		return n
	}
	if v, ok := fields.get("at"); ok {
		items, _ := v.list()
		if len(items) > maxNoticeAt {
			v.fail("%d moments are more than %d", len(items), maxNoticeAt)
			items = nil
		}
		for _, item := range items {
			n.At = append(n.At, item.noticeAt(r))
		}
	}
	fields.span("every", time.Second, &n.Every)
	fields.bounded("batch", &n.Batch, maxNoticeBatch)
	switch {
	case len(n.At) == 0 && n.Every == 0 && r.Deadline == 0:
		v.fail("it is never due: give at, every, or a deadline to the release")
	case len(r.Hooks["notice"]) == 0:
		v.fail("nobody would be told: give the release a hook of the name notice")
	}
	return n
}

// noticeAt reads "3 sessions", "90%" or "-10m".
func (v value) noticeAt(r Release) (at NoticeAt) {
	text, ok := v.text()
	if !ok {
		return at
	}
	bad := func() NoticeAt {
		v.fail(`want "3 sessions" (left), "90%%" (ended) or "-10m" (before the deadline), got %s`, quote(text))
		return NoticeAt{}
	}
	if count, ok := strings.CutSuffix(text, " session"); ok {
		text = count + " sessions"
	}
	var err error
	switch {
	case strings.HasSuffix(text, " sessions"):
		at.Sessions, err = strconv.ParseUint(strings.TrimSuffix(text, " sessions"), 10, 32)
		if err != nil || at.Sessions == 0 {
			return bad()
		}
	case strings.HasSuffix(text, "%"):
		at.Percent, err = strconv.Atoi(strings.TrimSuffix(text, "%"))
		if err != nil || at.Percent < 1 || at.Percent > 100 {
			return bad()
		}
	case strings.HasPrefix(text, "-"):
		at.Before, err = time.ParseDuration(text[1:])
		if err != nil || at.Before < time.Second {
			return bad()
		}
		if r.Deadline == 0 {
			v.fail("the release has no deadline")
		} else if at.Before > r.Deadline {
			v.fail("the deadline is %s after the flip", short(r.Deadline))
		}
	default:
		return bad()
	}
	return at
}
