package packages

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// exposure, in tenths, is what systemd may find at most: "OK" ends at 5.0.
const exposure = "30"

func TestTheUnitsExposeLittle(t *testing.T) {
	units, err := filepath.Glob("../../packaging/systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("no units (%v)", err)
	}
	for _, unit := range units {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold="+exposure, unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
