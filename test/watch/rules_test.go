package watch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	rulesDir  = root + "/packaging/prometheus"
	rulesFile = rulesDir + "/ebbtide.rules.yml"
	testsFile = rulesDir + "/ebbtide.rules.test.yml"
	runbooks  = root + "/docs/runbooks"
)

// rule is one of the rules' file.
type rule struct {
	Record, Alert, Expr string
	For                 string // how long an alert has to hold before it fires; "": not at all
	Annotations         map[string]string
}

func TestPromtoolAcceptsTheRulesAndTheirTestsPass(t *testing.T) {
	t.Parallel()
	promtool := mustFind(t, "promtool")
	for _, args := range [][]string{{"check", "rules", filepath.Base(rulesFile)}, {"test", "rules", filepath.Base(testsFile)}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = rulesDir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// An alert that no test sees firing may never fire, and one that no test sees silent may never be.
func TestEveryAlertIsSeenFiringAndSilent(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	mustYAML(t, testsFile, &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			if len(c.Fires) > 0 {
				fires[c.Alert] = true
			} else {
				silent[c.Alert] = true
			}
		}
	}
	for _, r := range mustRules(t) {
		if r.Alert != "" && !(fires[r.Alert] && silent[r.Alert]) {
			t.Errorf("%s: seen firing %v, seen silent %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	t.Parallel()
	pages := map[string]string{} // title by page
	files, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); name != "README.md" {
			title, _, _ := strings.Cut(mustRead(t, file), "\n")
			pages["docs/runbooks/"+name] = strings.TrimPrefix(title, "# ")
		}
	}
	list := mustRead(t, runbooks+"/README.md")
	for _, r := range mustRules(t) {
		if r.Alert == "" {
			continue
		}
		page := r.Annotations["runbook"]
		if pages[page] != r.Alert {
			t.Errorf("%s names the runbook %q, whose title is %q", r.Alert, page, pages[page])
		}
		if !strings.Contains(list, "["+r.Alert+"]("+filepath.Base(page)+")") {
			t.Errorf("the list of runbooks lacks %s", r.Alert)
		}
		delete(pages, page)
	}
	for page, title := range pages {
		t.Errorf("%s (%s) is of no alert", page, title)
	}
}

var (
	selector = regexp.MustCompile(`(ebbtide_\w+)(\{[^}]*\})?`)
	labelOf  = regexp.MustCompile(`(\w+) *(?:=~|!~|!=|=) *"`)
	row      = regexp.MustCompile("(?m)^\\| `(ebbtide_\\w+)` \\| \\w+ \\| ([^|]*) \\|")
)

// Rules and their tests are of metrics that there are, with the labels that those have.
func TestRulesAreOfMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	for _, r := range mustRules(t) {
		mustBeMetrics(t, r.Alert+r.Record, r.Expr)
	}
	mustBeMetrics(t, testsFile, mustRead(t, testsFile))
}

// mustBeMetrics looks for what a text names in the table of docs/metrics.md, which is written from the code.
func mustBeMetrics(t *testing.T, where, text string) {
	t.Helper()
	known := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(mustRead(t, root+"/docs/metrics.md"), -1) {
		known[m[1]] = append(strings.Split(m[2], ", "), "job", "instance")
	}
	for _, m := range selector.FindAllStringSubmatch(text, -1) {
		labels, there := known[m[1]]
		if !there {
			t.Errorf("%s: there is no metric %s", where, m[1])
			continue
		}
		for _, l := range labelOf.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels, l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
}

func mustRules(t *testing.T) (out []rule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	mustYAML(t, rulesFile, &file)
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("no rules")
	}
	return out
}

func mustYAML(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(mustRead(t, name)), into); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
