package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The page's table and its plots are those of the figures that are kept beside them.
func TestTheDocumentationIsWrittenFromItsFigures(t *testing.T) {
	const docs = "../../docs"
	again := t.TempDir()
	page, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(again, "performance.md"), page, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeDocs(filepath.Join(docs, "performance", figuresFile), again); err != nil {
		t.Fatal(err)
	}
	files := []string{"performance.md"}
	for _, c := range charts() {
		files = append(files, filepath.Join("performance", c.file))
	}
	for _, name := range files {
		got, want := mustRead(t, filepath.Join(docs, name)), mustRead(t, filepath.Join(again, name))
		if got != want {
			t.Errorf("%s is not that of docs/performance/%s: make bench-docs writes it", name, figuresFile)
		}
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
