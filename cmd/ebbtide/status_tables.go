package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

func printGenerations(w io.Writer, s api.Status) {
	fmt.Fprintln(w)
	fmt.Fprintln(w, "SERVICE\tGENERATION\tCOLOUR\tVERSION\tSTATE\tHALF-OPEN\tYOUNG\tESTABLISHED\tCLOSING\tLINGERING\tEVICTING\tNEW\tAFTER FLIP\tORPHANS\tREOPENED\tREJOINED\tMOVED\tUNPINNED")
	for _, service := range s.Services {
		for _, g := range service.Generations {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%d\n",
				service.Name, g.Number, orDash(g.Colour), g.Version, g.State,
				g.Sessions.HalfOpen, g.Sessions.Young, g.Sessions.Established, g.Sessions.Closing, g.Sessions.Lingering, g.Sessions.Evicting,
				g.New, afterFlip(g), g.Orphans, g.Reopened, g.Rejoined, g.Moved, g.Unpinned)
			if g.Reason != "" {
				fmt.Fprintf(w, "\t\t\t\t%s\n", g.Reason)
			}
		}
	}
}

// afterFlip is empty for a generation that no flip has left.
func afterFlip(g api.Generation) string {
	if g.State == api.StateLive || g.State == api.StateCandidate {
		return "-"
	}
	return fmt.Sprint(g.NewSinceFlip)
}

// printCanaries prints nothing where nothing has clients or testers of its own.
func printCanaries(w io.Writer, s api.Status) {
	header := "\nSERVICE\tCANDIDATE\tSHARE\tREALISED\tNEW ON CANDIDATE\tNEW ON LIVE\tSINCE\tTESTERS\n"
	for _, service := range s.Services {
		c := service.Canary
		if c == nil || c.Since == nil && c.Testers == 0 {
			continue
		}
		since := "-"
		if c.Since != nil {
			since = c.Since.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s%s\t%d\t%s\t%s\t%d\t%d\t%s\t%d\n", header, service.Name, c.Candidate.Number,
			api.Percent(c.TenThousandths), realised(*c), c.NewOnCandidate, c.NewOnLive, since, c.Testers)
		header = ""
	}
}

func printListeners(w io.Writer, s api.Status) {
	fmt.Fprintln(w)
	fmt.Fprintln(w, "SERVICE\tVIP\tPROTOCOL\tPORTS\tFORWARDING\tSESSIONS")
	for _, service := range s.Services {
		for _, l := range service.Listeners {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", service.Name, l.VIP, l.Protocol, l.Ports, service.Forwarding, l.Sessions)
		}
	}
}

func printBackends(w io.Writer, s api.Status) {
	fmt.Fprintln(w)
	fmt.Fprintln(w, "SERVICE\tGENERATION\tBACKEND\tPORT\tWEIGHT\tSTATE\tSESSIONS\tPACKETS\tBYTES\tNEXT HOP")
	for _, service := range s.Services {
		for _, g := range service.Generations {
			for _, b := range g.Backends {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\t%d\t%s\t%s\t%s\n", service.Name, g.Number, strings.Join(b.Addresses, ","),
					port(b.Port), b.Weight, standing(b), b.Sessions, ifCounted(b, b.Packets), ifCounted(b, b.Bytes), nextHops(b.NextHops))
			}
		}
	}
}

// standing is a backend's state, and what its health check has found when it is sick.
func standing(b api.Backend) string {
	if b.Health != nil && !b.Health.Well {
		return b.State + " (sick: " + b.Health.Sick + ")"
	}
	return b.State
}

// ifCounted is a count of a backend that counts by itself.
func ifCounted(b api.Backend, n uint64) string {
	if !b.Counted {
		return "-"
	}
	return fmt.Sprint(n)
}

// port of a backend: it has its own, or its listener's.
func port(p uint16) string {
	if p == 0 {
		return "-"
	}
	return fmt.Sprint(p)
}

func nextHops(hops []api.NextHop) string {
	words := make([]string, len(hops))
	for i, h := range hops {
		words[i] = fmt.Sprintf("%s %s %s", h.Interface, orDash(h.MAC), h.State)
		if h.Reason != "" {
			words[i] += " (" + h.Reason + ")"
		}
	}
	return orDash(strings.Join(words, ", "))
}

func printInterfaces(w io.Writer, s api.Status) {
	fmt.Fprintln(w)
	fmt.Fprintln(w, "INTERFACE\tINDEX\tMODE\tATTACHED\tPROBLEM")
	for _, i := range s.Interfaces {
		fmt.Fprintf(w, "%s\t%d\t%s\t%t\t%s\n", i.Name, i.Index, i.Mode, i.Attached, orDash(i.Problem))
	}
}

func printVIPs(w io.Writer, s api.Status) {
	fmt.Fprintln(w)
	fmt.Fprintln(w, "VIP\tHELD BY")
	for _, v := range s.VIPs {
		fmt.Fprintf(w, "%s\t%s\n", v.Address, orDash(v.Interface))
	}
}

func printTables(w io.Writer, s api.Status) {
	fmt.Fprintln(w)
	fmt.Fprintf(w, "TABLE\tSLOTS\tUSED\tOVERFLOW\t(max_flows %d)\n", s.MaxFlows)
	for _, t := range s.Tables {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", t.Family, t.Slots, t.Used, t.Overflow)
	}
}

// printReasons prints nothing when there is nothing to tell.
func printReasons(w io.Writer, s api.Status) {
	if len(s.Reasons) == 0 {
		return
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "REASON\tCOUNT")
	for _, name := range slices.Sorted(maps.Keys(s.Reasons)) {
		fmt.Fprintf(w, "%s\t%d\n", name, s.Reasons[name])
	}
}
