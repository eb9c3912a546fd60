package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// WithBinary builds the command line from this tree, as it is packaged, and runs with the directory that has it. It is for
// TestMain of a package two directories below the root; what it gives is the exit code.
func WithBinary(run func(dir string) int) int {
	dir, err := os.MkdirTemp("", "ebbtide-binary-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "ebbtide"), "../../cmd/ebbtide")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // with cgo it would keep its capabilities
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return run(dir)
}
