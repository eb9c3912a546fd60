package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"
)

var timestamp = regexp.MustCompile(`"timestamp": "[^"]*"`)

// list writes what modules are in the binary. The tool knows no time but now, so that of the commit is put in its place.
func (s source) list(ctx context.Context, binary, file string) error {
	seconds, err := strconv.ParseInt(s.epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	if err := command(ctx, nil, "go", "tool", "-modfile="+tools, "cyclonedx-gomod", "bin", "-json", "-noserial", "-version", "v"+s.version,
		"-output", file, binary); err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the list of modules: %w", err)
	}
	then := time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	if err := os.WriteFile(file, timestamp.ReplaceAll(data, []byte(`"timestamp": "`+then+`"`)), 0o644); err != nil {
		return fmt.Errorf("write the list of modules: %w", err)
	}
	return nil
}
