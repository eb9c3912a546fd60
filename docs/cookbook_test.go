package docs_test

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Each recipe is a configuration that loads as it stands.
func TestTheRecipesOfTheCookbookLoad(t *testing.T) {
	recipes := strings.Split(mustRead(t, "cookbook.md"), "```yaml\n")[1:]
	if len(recipes) != 5 {
		t.Errorf("%d recipes", len(recipes))
	}
	strategies := map[config.Strategy]bool{}
	for _, rest := range recipes {
		text, _, _ := strings.Cut(rest, "```")
		cfg, err := config.Parse("cookbook.md", []byte(text))
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		for _, s := range cfg.Services {
			strategies[s.Strategy] = true
		}
	}
	if len(strategies) != 4 {
		t.Errorf("the recipes have the strategies %v", strategies)
	}
}
