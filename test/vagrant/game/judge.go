package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
)

// verdict over all who ever played.
type verdict struct {
	broken int            // players
	after  map[string]int // sessions opened after the flip, by the colour of the backend that accepted them
	faults []string
}

// judge holds what players saw against what backends accepted. Each session has a port of its own, so no clock is needed to
// find it in the logs.
func judge(players []*game.Player, states []state, flipped time.Time) verdict {
	type socket struct {
		network string
		client  netip.AddrPort
	}
	accepts := map[socket][]game.Accept{}
	v := verdict{after: map[string]int{}}
	for _, s := range states {
		v.faults = append(v.faults, s.Faults...)
		for _, a := range s.Accepts {
			at := socket{a.Network, a.Client}
			accepts[at] = append(accepts[at], a)
		}
	}
	for _, p := range players {
		broken := p.Broken()
		if len(broken) > 0 {
			v.broken++
			v.faults = append(v.faults, broken...)
		}
		for _, r := range p.Reports() {
			took := accepts[socket{r.Network, r.Client}]
			if len(took) != 1 || took[0].Backend != r.Backend {
				v.faults = append(v.faults, fmt.Sprintf("%s %s played with %s, and was accepted by %v", r.Network, r.Client, r.Backend, took))
			}
			for _, a := range took {
				if !flipped.IsZero() && r.OpenedAt.After(flipped) {
					v.after[a.Colour]++
				}
			}
		}
	}
	return v
}

// ask asks the backends for their states.
func ask(backends []string) ([]state, error) {
	states := make([]state, len(backends))
	for i, b := range backends {
		answer, err := http.Get("http://" + b)
		if err != nil {
			return nil, fmt.Errorf("ask %s what it accepted: %w", b, err)
		}
		err = json.NewDecoder(answer.Body).Decode(&states[i])
		answer.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read what %s accepted: %w", b, err)
		}
	}
	return states, nil
}
