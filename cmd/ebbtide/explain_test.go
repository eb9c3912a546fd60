package main

import (
	"context"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

var explained = []api.Explanation{
	{
		Service: "world", Packet: api.PacketExisting, Protocol: "tcp", Client: "198.51.100.7:40000", VIP: "203.0.113.10", Port: 7777,
		Verdict: api.VerdictForward, Generation: &blue3, Backends: []string{"10.0.0.11"}, Interface: "eth0", MAC: "02:00:00:00:00:0b",
		Steps: []api.ExplainStep{
			{Step: "listener", Says: "tcp 203.0.113.10:7777: service world, dsr"},
			{Step: "pin", Says: "on 10.0.0.11 of generation 3 (blue, version 1.9) (established, silent for 2s)"},
			{Step: "backend", Says: "10.0.0.11 of generation 3 (blue, version 1.9)"},
			{Step: "next hop", Says: "02:00:00:00:00:0b by interface eth0"},
		},
	},
	{
		Service: "world", Packet: api.PacketNew, Protocol: "udp", Client: "198.51.100.7", VIP: "203.0.113.10", Port: 7777,
		Verdict: api.VerdictForward, Generation: &blue3, Backends: []string{"10.0.0.11", "10.0.0.12"},
		Steps: []api.ExplainStep{{Step: "listener", Says: "udp 203.0.113.10:7777: service world, dsr"}, {Step: "slot", Says: "one of 1021 of its Maglev table, by the ports"}},
	},
	{
		Service: "moon", Packet: api.PacketNew, Protocol: "tcp", Client: "198.51.100.7", VIP: "203.0.113.11", Port: 7777,
		Verdict: api.VerdictDrop, Reason: "drop_new_flows",
		Steps: []api.ExplainStep{
			{Step: "listener", Says: "tcp 203.0.113.11:7777: service moon, dsr"},
			{Step: "limit", Says: "198.51.100.0/24 has begun as many flows as it may: 50 a second, 200 at once"},
		},
	},
	{
		Service: "moon", Packet: api.PacketOrphan, Protocol: "tcp", Client: "198.51.100.7", VIP: "203.0.113.11",
		Verdict: api.VerdictDrop, Reason: "drop_no_generation",
		Steps: []api.ExplainStep{{Step: "listener", Says: "tcp 203.0.113.11: service moon, dsr"}},
	},
}

func explaining(got *api.ExplainRequest) *apitest.Fake {
	return &apitest.Fake{OnExplain: func(_ context.Context, req api.ExplainRequest, yield func(api.Explanation) error) error {
		*got = req
		for _, e := range explained {
			if err := yield(e); err != nil {
				return err
			}
		}
		return nil
	}}
}

func TestExplain(t *testing.T) {
	var got api.ExplainRequest
	refusing := &apitest.Fake{OnExplain: func(context.Context, api.ExplainRequest, func(api.Explanation) error) error {
		return api.Errorf(api.Refused, "service world: nothing is staged on green; give it a pool and reload")
	}}
	check(t, "explain", []row{
		{name: "a client", args: "explain 198.51.100.7", daemon: explaining(&got)},
		{name: "as json", args: "explain 198.51.100.7 -o json", daemon: explaining(&got)},
		{name: "as yaml", args: "explain 198.51.100.7 -o yaml", daemon: explaining(&got)},
		{name: "nothing to flip to", args: "explain 198.51.100.7 --service world --if-flipped", daemon: refusing, code: exitRefused},
		{name: "a client that is none", args: "explain 198.51.100.0/24", daemon: &apitest.Fake{}, code: exitUsage},
		{name: "no client", args: "explain", daemon: &apitest.Fake{}, code: exitUsage},
		{name: "port 0", args: "explain 198.51.100.7 --port 0", daemon: &apitest.Fake{}, code: exitUsage},
	})
	args := "explain 2001:db8::7 --service world --port 40000 --to 7790 --if-flipped"
	socket, _ := apitest.Serve(t, explaining(&got))
	if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone {
		t.Error(out)
	}
	if want := (api.ExplainRequest{Client: "2001:db8::7", Service: "world", Port: 40000, To: 7790, IfFlipped: true}); got != want {
		t.Errorf("asked for %+v", got)
	}
}
