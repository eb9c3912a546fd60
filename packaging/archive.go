package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/ebbtide/ebbtide/packaging/site"
)

// plain makes the archive for hosts that take neither kind of package: the binary, and what a package has besides it that is no unit.
func (s source) plain(stage, dist, arch string) error {
	name := fmt.Sprintf("ebbtide_%s_%s", s.version, arch)
	return s.archive(filepath.Join(dist, name+".tar.gz"), name, map[string]string{
		"ebbtide":              filepath.Join(stage, "ebbtide"),
		"man":                  filepath.Join(stage, "man"),
		"completions":          filepath.Join(stage, "completions"),
		"ebbtide.example.yaml": "ebbtide.example.yaml",
		"README.md":            "README.md",
		"CHANGELOG.md":         "CHANGELOG.md",
		"LICENSE":              "LICENSE",
	})
}

// pages makes the archive of the documentation, as HTML.
func (s source) pages(stage, dist string) error {
	html := filepath.Join(stage, "site")
	if err := site.Build(".", html); err != nil {
		return err
	}
	name := fmt.Sprintf("ebbtide_%s_site", s.version)
	return s.archive(filepath.Join(dist, name+".tar.gz"), name, map[string]string{"": html})
}

// archive packs files and directories, by their names in it, below a directory. It has no time but the commit's, and no owner.
func (s source) archive(file, below string, parts map[string]string) (err error) {
	seconds, err := strconv.ParseInt(s.epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("make an archive: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := packer{tar.NewWriter(zipped), time.Unix(seconds, 0)}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if err := t.add(path.Join(below, name), parts[name]); err != nil {
			return fmt.Errorf("pack %s: %w", parts[name], err)
		}
	}
	return errors.Join(t.Close(), zipped.Close())
}

type packer struct {
	*tar.Writer
	at time.Time
}

// add packs a file, or all that is in a directory, in the order of the names.
func (t packer) add(name, from string) error {
	return filepath.WalkDir(from, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		return t.file(path.Join(name, filepath.ToSlash(rel)), file)
	})
}

func (t packer) file(name, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), ModTime: t.at, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = t.Write(data)
	return err
}
