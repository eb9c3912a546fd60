package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/ebbtide/ebbtide/internal/journal"
)

// EventsRequest asks for what happens, of Service or of all. After is the number
// of the journal event after which to begin, nil for those to come only. With
// Once it ends when all that there is has been sent.
type EventsRequest struct {
	Service string
	After   *uint64
	Once    bool
}

// Event is one thing that happened: just one of its fields is there.
type Event struct {
	Journal *journal.Event `json:"journal,omitempty"`
	Drain   *DrainProgress `json:"drain,omitempty"` // it has no number, and is not sent again
}

// Wants says whether a journal event is one of those asked for.
func (r EventsRequest) Wants(e journal.Event) bool {
	return r.Service == "" || r.Service == e.Service
}

// The names of the query, of which each is also in openapi.json.
const (
	queryService = "service"
	queryAfter   = "after"
	queryOnce    = "once"
	lastEventID  = "Last-Event-ID" // a header: browsers send it when they come back
)

func (r EventsRequest) query() url.Values {
	q := url.Values{}
	if r.Service != "" {
		q.Set(queryService, r.Service)
	}
	if r.After != nil {
		q.Set(queryAfter, strconv.FormatUint(*r.After, 10))
	}
	if r.Once {
		q.Set(queryOnce, "true")
	}
	return q
}

// eventsRequest reads a query. What the client has seen last goes before what the address says: it stays the same when
// a browser connects again.
func eventsRequest(r *http.Request) (EventsRequest, error) {
	var req EventsRequest
	for name, values := range r.URL.Query() {
		if len(values) != 1 {
			return req, Errorf(Usage, "%s: given %d times", name, len(values))
		}
		var err error
		switch value := values[0]; name {
		case queryService:
			req.Service = value
		case queryAfter:
			req.After, err = eventNumber(name, value)
		case queryOnce:
			req.Once, err = strconv.ParseBool(value)
		default:
			return req, Errorf(Usage, "%s: unknown; want %s, %s or %s", name, queryService, queryAfter, queryOnce)
		}
		if err != nil {
			return req, Errorf(Usage, "%s: %v", name, err)
		}
	}
	if id := r.Header.Get(lastEventID); id != "" {
		after, err := eventNumber(lastEventID, id)
		if err != nil {
			return req, err
		}
		req.After = after
	}
	return req, nil
}

func eventNumber(name, text string) (*uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, Errorf(Usage, "%s %q: want the number of an event", name, text)
	}
	return &n, nil
}
