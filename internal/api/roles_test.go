package api

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
)

// A verb that nobody gave a role is refused to all who come over the network: safe, but surely forgotten.
func TestEveryPathHasARole(t *testing.T) {
	paths := map[string]bool{}
	verbs(new(Client), func(pattern string, _ int64, e endpoint) {
		_, path, _ := strings.Cut(pattern, " ")
		paths[path] = true
		switch role := roleFor[path]; {
		case !role.May(config.Viewer):
			t.Errorf("%s has no role in roles.go", path)
		case e.request != nil && reflect.PointerTo(e.request).Implements(reflect.TypeFor[acting]()) && !role.May(config.Operator):
			t.Errorf("%s changes something, and a %s may do it", path, role)
		}
	})
	for path := range roleFor {
		if !paths[path] {
			t.Errorf("%s has a role, and is no path", path)
		}
	}
}

func TestAPathWithoutARoleIsForTheSocketOnly(t *testing.T) {
	done := 0
	h := withRole("/v1/new", handler(func(w http.ResponseWriter, _ *http.Request) error { done++; return nil }))
	for _, remote := range []bool{false, true} {
		r := httptest.NewRequest("GET", "/v1/new", nil)
		if remote {
			r = r.WithContext(WithCaller(r.Context(), Caller{Name: "root", Via: ByCertificate, Role: config.Admin}))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if want := map[bool]int{false: 200, true: 403}[remote]; w.Code != want || done != 1 {
			t.Errorf("remote: %v: %d, done %d times", remote, w.Code, done)
		}
	}
}

// Every request of one service says which, in a way that servicesOf finds; the others are the whole host's.
func TestTheServicesOfARequestAreFound(t *testing.T) {
	whole := map[string]bool{ // of the whole host, or of a group
		"/v1/status": true, "/v1/drops": true, "/v1/plan": true, "/v1/reload": true, "/v1/detach": true, "/v1/replay": true,
		"/v1/flip-group": true, "/v1/rollback-group": true, "/v1/release-group": true, "/v1/support-bundle": true,
	}
	verbs(new(Client), func(pattern string, _ int64, e endpoint) {
		_, path, _ := strings.Cut(pattern, " ")
		if e.request == nil || path == "/v1/schedule" { // of it below
			return
		}
		req := reflect.New(e.request).Elem()
		if f := req.FieldByName("Service"); f.IsValid() {
			f.SetString("world")
		}
		want := "world"
		if whole[path] {
			want = ""
		}
		if got := servicesOf(req.Interface()); !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("%s is about %q, want %q", path, got, want)
		}
	})
	flip := ScheduleRequest{Flip: &FlipRequest{Service: "world"}}
	if got := servicesOf(flip); !reflect.DeepEqual(got, []string{"world"}) {
		t.Errorf("a flip for later is about %q", got)
	}
	if got := servicesOf(ScheduleRequest{FlipGroup: &GroupFlipRequest{Group: "all"}}); !reflect.DeepEqual(got, []string{""}) {
		t.Errorf("a group's flip for later is about %q", got)
	}
}

func TestBreakingALockIsSeenInAnyRequest(t *testing.T) {
	breaking := Act{BreakLock: true}
	for _, req := range []any{
		FlipRequest{Act: breaking}, ReloadRequest{breaking}, EvictRequest{Act: breaking}, ScheduleRequest{Act: breaking},
		ScheduleRequest{Flip: &FlipRequest{Act: breaking}}, ScheduleRequest{FlipGroup: &GroupFlipRequest{Act: breaking}},
	} {
		if !breaksLock(req) {
			t.Errorf("not seen in %+v", req)
		}
	}
	for _, req := range []any{FlipRequest{}, ScheduleRequest{Flip: &FlipRequest{}}, nothing{}, FlowFilter{}, EventsRequest{}} {
		if breaksLock(req) {
			t.Errorf("seen in %+v", req)
		}
	}
}
