package watch

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var verb = regexp.MustCompile("`ebbtide ([a-z-]+)")

func TestRunbooksNameVerbsThatThereAre(t *testing.T) {
	t.Parallel()
	cli := mustRead(t, root+"/docs/cli.md")
	files, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, m := range verb.FindAllStringSubmatch(mustRead(t, file), -1) {
			if !strings.Contains(cli, "\n## "+m[1]+"\n") {
				t.Errorf("%s: there is no verb %s", file, m[1])
			}
		}
	}
}
