package main

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestProbeNet(t *testing.T) {
	var got ProbeOptions
	keep := func(err error) func(*env) {
		return func(e *env) {
			e.ProbeNet = func(_ context.Context, o ProbeOptions) error { got = o; return err }
		}
	}
	args := strings.Fields("probenet --address 192.0.2.1 --address 2001:db8::1 --interface eth1 --probe-socket p --socket-group g")
	if out, code := invoke(t, "", keep(nil), args...); code != exitDone {
		t.Error(out)
	}
	want := ProbeOptions{
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, Interface: "eth1", Socket: "p", SocketGroup: "g",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"probenet", "probenet --address nobody", "probenet --address 192.0.2.1 --address 192.0.2.2", "probenet --address fe80::1%eth0"} {
		if out, code := invoke(t, "", nil, strings.Fields(bad)...); code != exitUsage {
			t.Error(out)
		}
	}
	if out, code := invoke(t, "", keep(errors.New("no macvlan")), "probenet", "--address", "192.0.2.1"); code != exitFailed || !strings.Contains(out, "ebbtide: probenet: no macvlan") {
		t.Error(out)
	}
}
