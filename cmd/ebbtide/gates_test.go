package main

import (
	"context"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// judging answers with gates.
func judging(g api.Gates) *apitest.Fake {
	return &apitest.Fake{OnGates: func(context.Context, api.GatesRequest) (api.Gates, error) { return g, nil }}
}

func TestGates(t *testing.T) {
	value, before, p, power := 0.021, 0.02, 0.4, 0.91
	watched := api.Gates{Service: "world", Release: 3, Gates: []api.GateReading{
		{
			Gate: "never_established", Verdict: "pass", Value: &value, Before: &before, Threshold: "at most 1.5x",
			Test: "exact conditional (binomial), rate ratio", Alpha: 0.002, P: &p, Power: &power, OnFail: "rollback", At: noon,
			Detail: "21 of 1000 sessions never established (2.1%), 2% before (p 0.4, power 91%)",
		},
		{Gate: "health", Verdict: "pass", Threshold: "at least 50%", OnFail: "pause", Final: true, At: noon, Detail: "4 of 4 backends are usable (100%)"},
		{Gate: "ops", Verdict: "pending", OnFail: "pause", At: noon, Detail: "waits for ops to approve"},
	}}
	check(t, "gates", []row{
		{name: "watched", args: "gates world", daemon: judging(watched)},
		{name: "as json", args: "gates world -o json", daemon: judging(watched)},
		{name: "not read", args: "gates world", daemon: judging(api.Gates{Service: "world", Gates: watched.Gates[2:]})},
		{name: "none", args: "gates world", daemon: judging(api.Gates{Service: "world"})},
		{name: "no service", args: "gates", code: exitUsage},
	})
}
