package documented

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// rooms are how many lines are run at once: most of them wait more than they compute.
const rooms = 4

// spare is a backend in no pool.
const spare = "spare1"

// A reason for a line, or a need of one, that no page has any more is in nobody's way but the reader's.
func TestWhatIsKnownOfLinesIsOfLinesInThePages(t *testing.T) {
	t.Parallel()
	lines := documented(t)
	for line := range elsewhere {
		if !slices.Contains(lines, line) {
			t.Errorf("no page has %q any more", line)
		}
	}
	for i, n := range needs {
		if !slices.ContainsFunc(lines, func(line string) bool {
			return elsewhere[line] == "" && slices.IndexFunc(needs, func(n need) bool { return n.line.MatchString(line) }) == i
		}) {
			t.Errorf("no page has a line that needs what %q does", n.line)
		}
	}
}

func TestEveryCommandInThePagesRuns(t *testing.T) {
	lines := documented(t)
	if len(lines) < 100 {
		t.Fatalf("there are %d commands only: the pages were misread", len(lines))
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return elsewhere[line] != "" })
	// Those that read come first: they need no daemon that knows of nothing.
	slices.SortStableFunc(lines, func(a, b string) int {
		switch ra, rb := needOf(a).reads, needOf(b).reads; {
		case ra == rb:
			return 0
		case ra:
			return -1
		}
		return 1
	})
	queue := make(chan string, len(lines))
	for _, line := range lines {
		queue <- line
	}
	close(queue)
	for n := range rooms {
		t.Run(fmt.Sprint("room ", n), func(t *testing.T) {
			t.Parallel()
			r := mustRoom(t)
			r.furnish(t)
			for line := range queue {
				t.Run(line, func(t *testing.T) { r.play(t, line, needOf(line)) })
			}
			r.leave(t)
		})
	}
}

// furnish makes backends of the hosts that are some, by what the pages tell, and has the game on them.
func (r *room) furnish(t *testing.T) {
	t.Helper()
	for _, b := range r.lab.Backends {
		run := r.begin(t, b.NS, "ebbtide backend setup --mode dsr --vip 203.0.113.10 --vip 2001:db8::10 --vip 203.0.113.11 --vip 203.0.113.12 --apply")
		if code := run.end(t); code != 0 {
			t.Fatalf("set %s up: %s", b.Name, run.stderr)
		}
	}
	r.serve(t)
	if _, err := r.lab.AddBackend(spare); err != nil {
		t.Fatal(err)
	}
}

// play runs a line where it means something.
func (r *room) play(t *testing.T, line string, n need) {
	fresh := n.reads && n.before == "" && n.yaml == nil
	if !fresh || !r.fresh { // what was only read from has not changed
		r.prepare(t, n)
	}
	r.fresh = fresh
	ns := r.lab.LB
	if n.backend {
		ns = r.lab.Backend(spare).NS
	}
	run := r.begin(t, ns, line)
	if n.works != nil {
		lab.Eventually(t, line+" to work", func() bool {
			select {
			case <-run.over:
				return true
			default:
				return n.works(t, r, run)
			}
		})
		select {
		case <-run.over:
		default:
			run.interrupt() // how it ends then is no matter
			run.end(t)
			return
		}
	}
	if code := run.end(t); code != n.code {
		t.Errorf("exit %d, want %d\n%s%s", code, n.code, run.stdout, run.stderr)
	}
}

// prepare makes what a line needs.
func (r *room) prepare(t *testing.T, n need) {
	t.Helper()
	yaml := file
	if n.yaml != nil {
		yaml = n.yaml.Replace(yaml)
	}
	r.empty(t, yaml)
	for name, text := range n.files {
		r.put(t, name, text)
	}
	if !n.stopped {
		r.start(t)
	}
	if !n.stopped && !n.alone {
		r.login(t)
	}
	if n.before != "" {
		r.before = r.do(t, n.before)
	}
}
