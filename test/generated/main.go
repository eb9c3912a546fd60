// Command generated proves that the committed BPF objects and bindings are what the sources build: it generates them
// anew in place, compares, and on a difference puts the committed ones back and says which differ.
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generated:", err)
		os.Exit(1)
	}
}

func run() error {
	before, err := contents()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "generate", "./...")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go generate ./...: %w", err)
	}
	after, err := contents()
	if err != nil {
		return err
	}
	differ := false
	for name, was := range before {
		if bytes.Equal(was, after[name]) {
			continue
		}
		differ = true
		fmt.Fprintf(os.Stderr, "%s is not what the sources build\n", name)
		if err := os.WriteFile(name, was, 0o644); err != nil {
			return fmt.Errorf("put %s back: %w", name, err)
		}
	}
	if differ || len(before) != len(after) {
		return fmt.Errorf("run `make generate` with clang 19 and commit what it changes")
	}
	fmt.Printf("%d generated files are what the sources build\n", len(before))
	return nil
}

func contents() (map[string][]byte, error) {
	out := map[string][]byte{}
	err := filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if generated, _ := filepath.Match("*_bpfel.*", filepath.Base(name)); !generated {
			return nil
		}
		out[name], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is generated: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no generated files here: run it at the top of the repository")
	}
	return out, nil
}
