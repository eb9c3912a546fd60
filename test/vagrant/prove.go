package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// playing is how many play at a time: each has a TCP and a UDP session, and one CPU is emulated for all of them.
const playing = 12

// prove makes the world, plays the flip, judges, and takes the world away.
func prove(ctx context.Context, broken bool) (err error) {
	log, err := os.Create(filepath.Join(work, "vagrant.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	m := &machines{log: log, begin: time.Now()}
	if err := m.up(ctx); err != nil {
		return err
	}
	m.say("six machines are up and provisioned")
	if err := m.look(ctx); err != nil {
		return err
	}
	if err := m.flip(ctx, broken); err != nil {
		return err
	}
	if err := m.destroy(ctx); err != nil {
		return err
	}
	m.say("nothing is left of the machines")
	return nil
}

// look looks at what the provisioning made of the load balancer.
func (m *machines) look(ctx context.Context) error {
	for _, command := range []string{"systemctl is-active ebbtide", "dpkg --status ebbtide", "ebbtide status"} {
		if _, err := m.on(ctx, "lb", command); err != nil {
			return err
		}
	}
	// For the log only: an emulated host has what doctor may well complain of.
	if _, err := m.on(ctx, "lb", "sudo ebbtide doctor"); err != nil {
		m.say("doctor has something to say of the load balancer: see the log")
	}
	m.say("the load balancer runs the package")
	return nil
}

// flip plays it: players, the flip while they play, the drain, the verdict.
func (m *machines) flip(ctx context.Context, broken bool) error {
	p, err := m.play(ctx, playing)
	if err != nil {
		return err
	}
	if _, err := p.until("all play", func(_ string, now moment) bool { return now.Sessions["blue"] == 2*playing }); err != nil {
		return err
	}
	m.say("%d players are on blue", playing)
	out, err := m.on(ctx, "lb", "ebbtide flip world -o json")
	if err != nil {
		return err
	}
	var proof struct {
		NewOnOld *int `json:"new_on_old"`
	}
	if err := json.Unmarshal([]byte(out), &proof); err != nil || proof.NewOnOld == nil || *proof.NewOnOld != 0 {
		return fmt.Errorf("the flip's proof is not 0 new sessions on the old colour (%v): %s", err, out)
	}
	if _, err := p.tell("flipped"); err != nil {
		return err
	}
	m.say("flipped: green is live")
	if broken {
		if _, err := m.on(ctx, "lb", "ebbtide evict world --generation 1"); err != nil {
			return err
		}
		m.say("blue's sessions are evicted")
	}
	if out, err = m.on(ctx, "lb", "ebbtide drain world --wait --timeout 10m"); err != nil {
		return err
	}
	m.say("drained: %s", strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]))
	return m.judge(p)
}

// judge is the word of the players and of the backends' accept logs.
func (m *machines) judge(p *players) error {
	now, err := p.tell("open")
	if err != nil {
		return err
	}
	verdict, err := p.end()
	if verdict != "" {
		m.say("%s", verdict)
	}
	if err != nil {
		return fmt.Errorf("the players: %w", err)
	}
	switch {
	case now.Open["blue"] != 0:
		return fmt.Errorf("blue is said to be drained, and has %d sessions", now.Open["blue"])
	case now.Open["green"] == 0:
		return errors.New("nobody plays on green")
	case strings.Contains(verdict, "blue:"):
		return errors.New("there are new sessions on blue after the flip")
	case !strings.Contains(verdict, "green:"):
		return errors.New("there are no new sessions on green after the flip")
	}
	return nil
}
