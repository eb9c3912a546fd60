package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// text of a small file below the root, without its end of line; "" when there is none.
func (h Host) text(path string) string {
	data, err := os.ReadFile(filepath.Join(h.Root, path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// number in a file; false when there is none.
func (h Host) number(path string) (int, bool) {
	n, err := strconv.Atoi(h.text(path))
	return n, err == nil
}

func (h Host) glob(pattern string) []string {
	names, _ := filepath.Glob(filepath.Join(h.Root, pattern)) // fails for bad patterns only
	return names
}
