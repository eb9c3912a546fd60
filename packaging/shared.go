package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// shared puts into stage what both architectures have: the manual, completions and the changelog.
func shared(ctx context.Context, stage string) error {
	pages, completions := filepath.Join(stage, "pages"), filepath.Join(stage, "completions")
	for _, dir := range []string{pages, completions, filepath.Join(stage, "man")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make room in the stage: %w", err)
		}
	}
	cli := filepath.Join(stage, "cli")
	if err := command(ctx, nil, "go", "build", "-o", cli, "./cmd/ebbtide"); err != nil {
		return err
	}
	if err := command(ctx, nil, cli, "man", pages); err != nil {
		return err
	}
	for shell, file := range map[string]string{"bash": "ebbtide.bash", "fish": "ebbtide.fish", "zsh": "_ebbtide"} {
		text, err := output(ctx, nil, cli, "completion", shell)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(completions, file), []byte(text+"\n"), 0o644); err != nil {
			return fmt.Errorf("write the completion for %s: %w", shell, err)
		}
	}
	entries, err := os.ReadDir(pages)
	if err != nil {
		return fmt.Errorf("list the manual: %w", err)
	}
	for _, e := range entries {
		if err := zip(filepath.Join(pages, e.Name()), filepath.Join(stage, "man", e.Name()+".gz")); err != nil {
			return err
		}
	}
	return zip("CHANGELOG.md", filepath.Join(stage, "changelog.gz"))
}

// zip writes no name and no time into its header.
func zip(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("pack %s: %w", from, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("pack %s: %w", from, err)
	}
	defer out.Close()
	w, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return fmt.Errorf("pack %s: %w", from, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("pack %s: %w", from, err)
	}
	return out.Close()
}
