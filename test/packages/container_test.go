package packages

import (
	"os/exec"
	"testing"
)

// They are in a module of their own, for Kubernetes' types and the parser of docker build.
func TestTheExamplesForContainers(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./...")
	cmd.Dir = "../../packaging/container"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
