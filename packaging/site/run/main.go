// Command run makes the site of the documentation.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/ebbtide/ebbtide/packaging/site"
)

func main() {
	out := flag.String("out", "dist/site", "where to put it; what was there is removed")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("remove the site of before: %w", err)
	}
	return site.Build(".", out)
}
