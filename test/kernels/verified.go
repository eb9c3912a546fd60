package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// verifiedFile is committed: growth is seen in its changes.
const verifiedFile = "test/kernels/verified.txt"

// growth is how much more a verifier may look at without being recorded, as a part of it: point releases differ a little.
const growth = 0.1

// verified is how many instructions the verifier of each kernel looks at, by program and kernel.
type verified map[string]map[string]int

// readVerified reads the table as it was recorded: a line a program, a column a kernel, 0 for what is not there.
func readVerified(path string) (verified, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return verified{}, nil
	}
	if err != nil {
		return nil, err
	}
	v, head := verified{}, []string(nil)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if head == nil {
			head = fields
			continue
		}
		if len(fields) != len(head) {
			return nil, fmt.Errorf("%s: %q does not have %d columns", path, strings.TrimSpace(line), len(head))
		}
		for i, s := range head[1:] {
			n, err := strconv.Atoi(fields[i+1])
			if err != nil {
				return nil, fmt.Errorf("%s: %s on %s: %w", path, fields[0], s, err)
			}
			v.put(fields[0], s, n)
		}
	}
	return v, nil
}

func (v verified) put(program, kernel string, n int) {
	if v[program] == nil {
		v[program] = map[string]int{}
	}
	v[program][kernel] = n
}

// with is the table with the columns of these kernels replaced by what they said now.
func (v verified) with(kernels []string, outcomes []*outcome) verified {
	out := verified{}
	for program, counts := range v {
		for kernel, n := range counts {
			if !slices.Contains(kernels, kernel) {
				out.put(program, kernel, n)
			}
		}
	}
	for i, o := range outcomes {
		for program, n := range o.verified {
			out.put(program, kernels[i], n)
		}
	}
	return out
}

// grown names what grew by more than growth.
func (v verified) grown(had verified) (out []string) {
	for _, program := range slices.Sorted(maps.Keys(v)) {
		for _, kernel := range series {
			if now, before := v[program][kernel], had[program][kernel]; float64(now) > float64(before)*(1+growth) {
				out = append(out, fmt.Sprintf("%s on %s: %d, was %d", program, kernel, now, before))
			}
		}
	}
	return out
}

// beside shows the table, and what changed since another.
func (v verified) beside(had verified) string {
	return v.table(func(program, kernel string) string {
		now, before := v[program][kernel], had[program][kernel]
		if now == before || before == 0 {
			return fmt.Sprint(now)
		}
		return fmt.Sprintf("%d (%+.1f%%)", now, 100*float64(now-before)/float64(before))
	})
}

func (v verified) write(path string) error {
	text := v.table(func(program, kernel string) string { return fmt.Sprint(v[program][kernel]) })
	return os.WriteFile(path, []byte(text), 0o644)
}

func (v verified) table(cell func(program, kernel string) string) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "program\t%s\n", strings.Join(series, "\t"))
	for _, program := range slices.Sorted(maps.Keys(v)) {
		fmt.Fprint(w, program)
		for _, kernel := range series {
			fmt.Fprint(w, "\t", cell(program, kernel))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}
