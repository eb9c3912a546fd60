package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/tide"
)

// slowTimeout is how long a reader may take nothing before he is dropped: the page comes back by itself.
const slowTimeout = 5 * time.Second

// tideOf streams how many sessions the generations of a service have, as server-sent events.
func tideOf(ctl Controller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := false
		err := ctl.Tide(r.Context(), r.URL.Query().Get("service"), func(points []tide.Point) error {
			if !begun {
				begun = true
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Cache-Control", "no-store")
			}
			return send(w, points)
		})
		if !begun && err != nil {
			api.WriteError(r.Context(), w, err)
		}
	})
}

func send(w http.ResponseWriter, points []tide.Point) error {
	text, err := json.Marshal(points)
	if err != nil {
		return fmt.Errorf("write the tide: %w", err)
	}
	out := http.NewResponseController(w)
	if err := out.SetWriteDeadline(time.Now().Add(slowTimeout)); err != nil {
		return fmt.Errorf("write the tide: %w", err)
	}
	if _, err := fmt.Fprintf(w, "event: tide\ndata: %s\n\n", text); err != nil {
		return fmt.Errorf("write the tide: %w", err)
	}
	return out.Flush()
}
