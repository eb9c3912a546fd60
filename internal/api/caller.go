package api

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Caller is who asks over the network, as he has proved, and what he may do.
type Caller struct {
	Name     string // of his certificate or token
	Via      string // how he proved it
	Serial   string // of his certificate, in hexadecimal
	From     string // address and port
	Role     config.Role
	Services []string // none: all, and what is the whole host's
}

// How a [Caller] proves who he is.
const (
	ByCertificate = "certificate"
	ByToken       = "token"
)

func (c Caller) String() string { return fmt.Sprintf("%s (%s)", c.Name, c.Via) }

type callerKey struct{}

// WithCaller is for each request that comes over the network.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf gives who asks over the network, for the context of a call; not ok for a peer of the socket, and when the daemon
// calls itself.
func CallerOf(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// narrower is an answer of which there is something for who may see some services only.
type narrower interface{ narrow(services []string) any }

// several is a request that names services other than by its field Service.
type several interface{ services() []string }

// mayAsk refuses what a caller's role and services don't let him ask for. Whoever comes by the socket may ask for all.
func mayAsk(ctx context.Context, req any, narrows bool) error {
	c, remote := CallerOf(ctx)
	if !remote {
		return nil
	}
	if breaksLock(req) && !c.Role.May(config.Admin) {
		return Errorf(Forbidden, "%s is %s: to break a lock takes %s", c, c.Role, config.Admin)
	}
	if len(c.Services) == 0 || narrows {
		return nil
	}
	for _, name := range servicesOf(req) {
		switch {
		case name == "":
			return Errorf(Forbidden, "%s may ask for the services %s only: name one", c, strings.Join(c.Services, ", "))
		case !slices.Contains(c.Services, name):
			return Errorf(Forbidden, "%s may ask for the services %s only, and not for %s", c, strings.Join(c.Services, ", "), name)
		}
	}
	return nil
}

// servicesOf are those that a request is about; an empty name is the whole host.
func servicesOf(req any) []string {
	if r, ok := req.(several); ok {
		return r.services()
	}
	v := reflect.ValueOf(req)
	if v.Kind() != reflect.Struct {
		return []string{""}
	}
	if f := v.FieldByName("Service"); f.IsValid() && f.Kind() == reflect.String {
		return []string{f.String()}
	}
	return []string{""}
}

// breaksLock says whether a request is an act that breaks locks; it may hold another, as one to schedule does.
func breaksLock(req any) bool {
	v := reflect.ValueOf(req)
	if v.Kind() != reflect.Struct {
		return false
	}
	if a, ok := req.(Act); ok {
		return a.BreakLock
	}
	for _, f := range v.Fields() {
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if f.Kind() == reflect.Struct && f.CanInterface() && breaksLock(f.Interface()) {
			return true
		}
	}
	return false
}

// services of what shall be done later are those of what it is; a group may have any.
func (r ScheduleRequest) services() []string {
	if r.Flip == nil {
		return []string{""}
	}
	return []string{r.Flip.Service}
}

// narrow is a status for who may see some services only.
func (s Status) narrow(services []string) any {
	mine := func(name string) bool { return slices.Contains(services, name) }
	s.Services = slices.DeleteFunc(slices.Clone(s.Services), func(is Service) bool { return !mine(is.Name) })
	s.Schedule = slices.DeleteFunc(slices.Clone(s.Schedule), func(is Scheduled) bool { return !mine(is.Service) })
	s.VIPs = slices.DeleteFunc(slices.Clone(s.VIPs), func(vip VIP) bool {
		return !slices.ContainsFunc(s.Services, func(is Service) bool {
			return slices.ContainsFunc(is.Listeners, func(l Listener) bool { return l.VIP == vip.Address })
		})
	})
	return s
}

// narrowed is an answer as its caller may see it.
func narrowed(ctx context.Context, answer any) any {
	if c, remote := CallerOf(ctx); remote && len(c.Services) > 0 {
		if n, ok := answer.(narrower); ok {
			return n.narrow(c.Services)
		}
	}
	return answer
}
