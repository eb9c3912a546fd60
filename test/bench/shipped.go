package main

import (
	"fmt"
	"io"
	stdmaps "maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

const (
	million    = 1_000_000
	memoryGoal = 64 << 20 // what the maps of IPv4 may take for a million flows
)

// printShipped loads the program that ships, sized for a million flows, and prints the memory of its maps and the
// verifier's view of its programs.
func printShipped(out io.Writer) error {
	spec, err := bpf.LoadProgram()
	if err != nil {
		return fmt.Errorf("read the built-in object: %w", err)
	}
	bpf.WithoutTracer(spec)
	var config bpf.ProgramConfig
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		layout := maps.LayoutFor(maps.Family(f), million)
		config.Layouts[0][f], config.Layouts[1][f] = layout, layout
		spec.Maps[names[0]].MaxEntries = maps.LinesOf(layout)
		spec.Maps[names[1]].MaxEntries = maps.LinesOf(layout) * maps.Slots
	}
	if err := spec.Variables["CONFIG"].Set(config); err != nil {
		return fmt.Errorf("set the program's configuration: %w", err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return fmt.Errorf("load the data plane: %w", err)
	}
	defer coll.Close()
	if err := printMemory(out, coll.Maps); err != nil {
		return err
	}
	return printPrograms(out, coll.Programs)
}

// share says whose a map is: of a family, by the number at the end of its name, or of both.
func share(name string) string {
	switch name[len(name)-1] {
	case '4':
		return "IPv4"
	case '6':
		return "IPv6"
	}
	return "both"
}

func printMemory(out io.Writer, all map[string]*ebpf.Map) error {
	var names []string
	size, sum := map[string]uint64{}, map[string]uint64{}
	for name, m := range all {
		info, err := m.Info()
		if err != nil {
			return fmt.Errorf("ask for map %s: %w", name, err)
		}
		size[name], _ = info.Memlock()
		sum[share(name)] += size[name]
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if c := strings.Compare(share(a), share(b)); c != 0 {
			return c
		}
		return int(size[b]) - int(size[a])
	})
	fmt.Fprintf(out, "\nKernel memory of the maps, max_flows %d (goal: IPv4 at most %s)\n", million, mebibytes(memoryGoal))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, of := range []string{"IPv4", "IPv6", "both"} {
		fmt.Fprintf(w, "%s\t  %s, all\n", mebibytes(sum[of]), of)
		for _, name := range names {
			if share(name) == of && size[name] >= 1<<20 {
				fmt.Fprintf(w, "%s\t  %s\n", mebibytes(size[name]), name)
			}
		}
	}
	return w.Flush()
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }

func printPrograms(out io.Writer, all map[string]*ebpf.Program) error {
	fmt.Fprintln(out, "\nThe verifier's view")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "verified\tinstructions\tmachine code\t  ")
	for _, name := range slices.Sorted(stdmaps.Keys(all)) {
		info, err := all[name].Info()
		if err != nil {
			return fmt.Errorf("ask for program %s: %w", name, err)
		}
		verified, _ := info.VerifiedInstructions()
		translated, err := info.TranslatedSize()
		if err != nil {
			return fmt.Errorf("ask for the size of program %s: %w", name, err)
		}
		machine, err := info.JitedSize()
		if err != nil {
			return fmt.Errorf("ask for the machine code of program %s: %w", name, err)
		}
		fmt.Fprintf(w, "%d\t%d\t%d B\t  %s\n", verified, translated/8, machine, name)
	}
	return w.Flush()
}
