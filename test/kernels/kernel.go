package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// kernel is one of Debian's, unpacked.
type kernel struct {
	series, image, modules string
	dir                    string
}

// modules that Debian's kernels do not have built in, in the order in which they are loaded.
var modules = []string{"kernel/drivers/net/veth.ko"}

func kernelIn(series, dir string) (*kernel, error) {
	images, _ := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	trees, _ := filepath.Glob(filepath.Join(dir, "lib/modules/*"))
	if len(images) != 1 || len(trees) != 1 {
		return nil, fmt.Errorf("%s has %d kernels and %d trees of modules", dir, len(images), len(trees))
	}
	return &kernel{series: series, image: images[0], modules: trees[0], dir: dir}, nil
}

// module reads one, unpacked when the kernel's package has it packed.
func (k *kernel) module(ctx context.Context, name string) ([]byte, error) {
	path := filepath.Join(k.modules, name)
	data, err := os.ReadFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		return data, err
	}
	return exec.CommandContext(ctx, "xz", "--decompress", "--stdout", path+".xz").Output()
}

// test boots the kernel with the tests, and fails when one of them does, or when the machine ends without a word.
func (k *kernel) test(ctx context.Context, bundle string) error {
	disk, err := k.ramDisk(ctx, bundle)
	if err != nil {
		return fmt.Errorf("linux %s: %w", k.series, err)
	}
	begin := time.Now()
	// Without cx16: the kernel's allocator of 6.12 uses that instruction, and QEMU 7.2's emulation of it ends in a double
	// fault when an interrupt comes in the wrong place.
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,cx16=off,la57=off", "-smp", "2", "-m", "2G",
		"-nographic", "-no-reboot", "-nic", "none", "-kernel", k.image, "-initrd", disk,
		"-append", "console=ttyS0 quiet panic=-1 rdinit=/init")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start QEMU (apt-get install qemu-system-x86): %w", err)
	}
	verdict := k.follow(out)
	if err := cmd.Wait(); err != nil && verdict == nil {
		verdict = fmt.Errorf("QEMU: %w", err)
	}
	if verdict != nil {
		return fmt.Errorf("linux %s: %w", k.series, verdict)
	}
	fmt.Printf("linux %s: %s: all tests passed in %.0f s\n", k.series, strings.TrimPrefix(filepath.Base(k.image), "vmlinuz-"), time.Since(begin).Seconds())
	return nil
}

// follow reads the console to its end. What the guest's init says begins with its mark; the rest is kept in the log.
func (k *kernel) follow(console io.Reader) error {
	log, err := os.Create(filepath.Join(k.dir, "console.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	passed, failed := 0, []string(nil)
	lines := bufio.NewScanner(io.TeeReader(console, log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		said, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), mark)
		switch {
		case !ok:
		case strings.HasPrefix(said, "passed "):
			passed++
		default:
			failed = append(failed, said)
		}
	}
	if len(failed) > 0 || passed != len(testSuites) {
		return fmt.Errorf("%d of %d suites passed; %s; the console is in %s", passed, len(testSuites), strings.Join(failed, "; "), log.Name())
	}
	return lines.Err()
}
