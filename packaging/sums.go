package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const sumsFile = "SHA256SUMS"

// sums writes what `sha256sum --check` reads.
func sums(dist string) error {
	entries, err := os.ReadDir(dist) // sorted by name
	if err != nil {
		return fmt.Errorf("list the packages: %w", err)
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dist, e.Name()))
		if err != nil {
			return fmt.Errorf("sum up the packages: %w", err)
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	if err := os.WriteFile(filepath.Join(dist, sumsFile), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the sums: %w", err)
	}
	return nil
}
