package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) supportBundle() *cobra.Command {
	var req api.SupportBundleRequest
	var file string
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Write what helps others to find a fault",
		Long: `Write a .tar.gz with what the daemon knows of itself: its configuration, status, state and last log lines, the end of the
journal, counts by reason, gates, and which maps and programs are in the kernel. No flow is in it.

Secrets are taken out: arguments of hooks and what they printed, contents of secret files, what follows the ? in an
address, comments of the configuration, and what is called a token, a password or the like. Each address but those of
VIPs, backends and this host is masked by a name, the same one for the same address in all files; --addresses leaves
them in. Names of users, and the reasons that they gave, stay. Look it over before you hand it on.`,
		Example: `  ebbtide support-bundle
  ebbtide support-bundle --file - | ssh support@ops.example 'cat > bundle.tar.gz'`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&req.Addresses, "addresses", false, "don't mask clients' addresses")
	cmd.Flags().StringVar(&file, "file", "", "where to write it; - is the standard output (default ebbtide-support-TIME.tar.gz)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := c.client().SupportBundle(cmd.Context(), req)
		if err == nil {
			err = c.saveBundle(b, file)
		}
		if err != nil {
			return fmt.Errorf("support-bundle: %w", err)
		}
		return nil
	}
	return cmd
}

// saveBundle writes a file that nobody else may read, and that was not there.
func (c *cli) saveBundle(b api.SupportBundle, name string) error {
	if name == "-" {
		return writeBundle(c.stdout, b)
	}
	if name == "" {
		name = "ebbtide-support-" + b.Made.UTC().Format("20060102T150405Z") + ".tar.gz"
	}
	var text bytes.Buffer
	if err := writeBundle(&text, b); err != nil {
		return err
	}
	if err := writeNew(name, text.String()); err != nil {
		return fmt.Errorf("write the file: %w", err)
	}
	addresses := "clients' addresses are masked"
	if !b.Masked {
		addresses = "clients' addresses are in it"
	}
	fmt.Fprintf(c.stdout, "%s: %d files; %s\n", name, len(b.Files)+1, addresses)
	return nil
}

func writeBundle(w io.Writer, b api.SupportBundle) error {
	head, err := json.MarshalIndent(struct {
		Version string `json:"version"`
		Made    string `json:"made"`
		Masked  bool   `json:"masked"`
	}{b.Version, b.Made.UTC().Format("2006-01-02T15:04:05Z"), b.Masked}, "", "  ")
	if err != nil {
		return err
	}
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	for _, f := range append([]api.BundleFile{{Name: "bundle.json", Text: string(head) + "\n"}}, b.Files...) {
		h := &tar.Header{Name: "ebbtide-support/" + f.Name, Mode: 0o600, Size: int64(len(f.Text)), ModTime: b.Made, Format: tar.FormatPAX}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(out, f.Text); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zip.Close())
}
