package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// processes lists the living ones that work in a lab's directory, or carry a mark of the tests' in their environment, this
// one left out.
func processes() ([]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range dirs {
		if filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		// One that ends meanwhile, or has ended, has neither.
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if bytes.Contains(command, []byte(dirPrefix)) || bytes.Contains(env, []byte(dirPrefix)) {
			found = append(found, fmt.Sprintf("process %s: %s", filepath.Base(dir), bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return found, nil
}
