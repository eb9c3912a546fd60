package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// mark begins what init says on the console.
const mark = "ebbtide-tests: "

// ramDisk packs init, the test binaries and the kernel's modules into the archive that the kernel unpacks at boot.
func (k *kernel) ramDisk(ctx context.Context, bundle string, suites []suite) (string, error) {
	path := filepath.Join(k.dir, "initrd")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	for _, dir := range []string{"dev", "proc", "sys", "tmp", "run", "tests", "modules"} {
		if err := w.WriteHeader(&cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}); err != nil {
			return "", err
		}
	}
	put := func(name string, data []byte) error {
		if err := w.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755, Size: int64(len(data))}); err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
		_, err := w.Write(data)
		return err
	}
	if err := k.pack(ctx, bundle, suites, put); err != nil {
		return "", err
	}
	return path, w.Close()
}

func (k *kernel) pack(ctx context.Context, bundle string, suites []suite, put func(string, []byte) error) error {
	init, err := os.ReadFile(filepath.Join(bundle, "init"))
	if err != nil {
		return err
	}
	if err := put("init", init); err != nil {
		return err
	}
	for i, name := range modules {
		data, err := k.module(ctx, name)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		if err := put(fmt.Sprintf("modules/%02d.ko", i), data); err != nil {
			return err
		}
	}
	for i, s := range suites {
		data, err := os.ReadFile(filepath.Join(bundle, s.name+".test"))
		if err != nil {
			return err
		}
		if err := put(fmt.Sprintf("tests/%02d-%s", i, s.name), data); err != nil {
			return err
		}
		if err := put(fmt.Sprintf("tests/%02d-%s.args", i, s.name), []byte(strings.Join(s.args, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
