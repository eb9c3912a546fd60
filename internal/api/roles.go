package api

import (
	"net/http"

	"github.com/ebbtide/ebbtide/internal/config"
)

// roleFor is what each verb takes of who asks over the network. A verb that is not here is nobody's there.
//
// A viewer sees counts and events, a player's address never. An operator does what a release needs. An admin does what is the
// whole host's and can't be taken back, and sees packets.
var roleFor = map[string]config.Role{
	"/v1/status":        config.Viewer,
	"/v1/drain":         config.Viewer,
	"/v1/drops":         config.Viewer,
	"/v1/gates":         config.Viewer,
	"/v1/releases":      config.Viewer,
	"/v1/release/watch": config.Viewer,
	"/v1/release/plan":  config.Viewer,
	"/v1/report":        config.Viewer,
	"/v1/schedules":     config.Viewer,
	"/v1/openapi.json":  config.Viewer,

	"/v1/close":          config.Operator,
	"/v1/events":         config.Operator, // the journal names testers and evicted clients by address
	"/v1/evict":          config.Operator,
	"/v1/explain":        config.Operator,
	"/v1/flip":           config.Operator,
	"/v1/flip-group":     config.Operator,
	"/v1/flows":          config.Operator,
	"/v1/health":         config.Operator,
	"/v1/history":        config.Operator,
	"/v1/lock":           config.Operator,
	"/v1/occupancy":      config.Operator,
	"/v1/open":           config.Operator,
	"/v1/plan":           config.Operator,
	"/v1/rehearse":       config.Operator,
	"/v1/release":        config.Operator,
	"/v1/release-group":  config.Operator,
	"/v1/reload":         config.Operator,
	"/v1/replay":         config.Operator,
	"/v1/rollback":       config.Operator,
	"/v1/rollback-group": config.Operator,
	"/v1/schedule":       config.Operator,
	"/v1/share":          config.Operator,
	"/v1/stage":          config.Operator,
	"/v1/testers":        config.Operator,
	"/v1/unlock":         config.Operator,
	"/v1/unschedule":     config.Operator,
	"/v1/verify":         config.Operator, // it asks the candidate

	"/v1/detach":         config.Admin,
	"/v1/support-bundle": config.Admin, // it may have players' addresses in it
	"/v1/trace":          config.Admin,
}

// withRole lets in whose role is enough. Nothing of a request's body is read before.
func withRole(path string, h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if c, remote := CallerOf(r.Context()); remote {
			need, there := roleFor[path]
			if !there {
				return Errorf(Forbidden, "%s can be asked for on the daemon's socket only", path)
			}
			if !c.Role.May(need) {
				return Errorf(Forbidden, "%s is %s: %s takes %s", c, c.Role, path, need)
			}
		}
		h.ServeHTTP(w, r)
		return nil
	}
}
