package systemd

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// identifier is what journalctl shows before a line.
const identifier = "ebbtide"

// fieldPrefix keeps the fields of a line from being the journal's own: `journalctl EBBTIDE_SERVICE=world`.
const fieldPrefix = "EBBTIDE_"

// Logger writes to the journal, with fields, when that is where stderr leads, else to stderr as text.
func Logger(stderr io.Writer) *slog.Logger {
	if journaled, err := journal.StderrIsJournalStream(); err != nil || !journaled {
		return slog.New(slog.NewTextHandler(stderr, nil))
	}
	return slog.New(&handler{send: journal.Send})
}

// handler sends a record as a line that people read, with its attributes behind the message, and as fields.
type handler struct {
	send   func(message string, priority journal.Priority, fields map[string]string) error
	attrs  []slog.Attr // by their full names
	prefix string      // of the groups, each with a dot behind it
}

// Enabled is for Info and above, as on a terminal.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs and WithGroup are as slog.Handler has them.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.attrs = flatten(append([]slog.Attr(nil), h.attrs...), h.prefix, attrs)
	return &more
}

func (h *handler) WithGroup(name string) slog.Handler {
	more := *h
	more.prefix = join(h.prefix, name)
	return &more
}

// Handle sends one.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	all := append([]slog.Attr(nil), h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		all = flatten(all, h.prefix, []slog.Attr{a})
		return true
	})
	var line strings.Builder
	line.WriteString(r.Message)
	fields := map[string]string{"SYSLOG_IDENTIFIER": identifier}
	for _, a := range all {
		line.WriteString(" " + a.String())
		fields[fieldName(a.Key)] = a.Value.String()
	}
	return h.send(line.String(), priority(r.Level), fields)
}

// flatten gives each attribute its full name; those of a group have its name before theirs.
func flatten(into []slog.Attr, prefix string, attrs []slog.Attr) []slog.Attr {
	for _, a := range attrs {
		a.Value = a.Value.Resolve()
		switch {
		case a.Equal(slog.Attr{}):
		case a.Value.Kind() == slog.KindGroup:
			into = flatten(into, join(prefix, a.Key), a.Value.Group())
		default:
			into = append(into, slog.Attr{Key: prefix + a.Key, Value: a.Value})
		}
	}
	return into
}

func join(prefix, group string) string {
	if group == "" {
		return prefix
	}
	return prefix + group + "."
}

// fieldName is one that the journal takes: capital letters, digits and underscores.
func fieldName(key string) string {
	return fieldPrefix + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
