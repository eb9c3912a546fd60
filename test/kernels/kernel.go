package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// kernel is one of Debian's, unpacked.
type kernel struct {
	series, image, modules string
	dir                    string
	machine                machine
}

// modules that Debian's kernels do not have built in, each behind those that it needs.
var modules = []string{
	"kernel/drivers/net/veth.ko", "kernel/net/llc/llc.ko", "kernel/net/802/stp.ko", "kernel/net/bridge/bridge.ko",
	"kernel/net/802/garp.ko", "kernel/net/802/mrp.ko", "kernel/net/8021q/8021q.ko",
	"kernel/net/ipv4/tunnel4.ko", "kernel/net/ipv4/ip_tunnel.ko", "kernel/net/ipv4/ipip.ko",
	"kernel/net/ipv6/tunnel6.ko", "kernel/net/ipv6/ip6_tunnel.ko",
}

func kernelIn(series, dir string, m machine) (*kernel, error) {
	images, _ := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	trees, _ := filepath.Glob(filepath.Join(dir, "lib/modules/*"))
	if len(images) != 1 || len(trees) != 1 {
		return nil, fmt.Errorf("%s has %d kernels and %d trees of modules", dir, len(images), len(trees))
	}
	return &kernel{series: series, image: images[0], modules: trees[0], dir: dir, machine: m}, nil
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

// boots are how often a kernel is booted until the emulator lets it come to its end.
const boots = 3

// test boots the kernel with the tests, and fails when one of them does, or when the machine ends without a word.
func (k *kernel) test(ctx context.Context, bundle string, suites []suite) (*outcome, error) {
	disk, err := k.ramDisk(ctx, bundle, suites)
	if err != nil {
		return nil, fmt.Errorf("linux %s: %w", k.series, err)
	}
	for boot := 1; ; boot++ {
		o, err := k.boot(ctx, disk, len(suites))
		if !errors.Is(err, errEmulator) || boot == boots {
			return o, err
		}
		fmt.Printf("linux %s: boot %d of %d: %v\n", k.series, boot, boots, err)
	}
}

// boot runs the tests once.
func (k *kernel) boot(ctx context.Context, disk string, suites int) (*outcome, error) {
	begin := time.Now()
	cmd := exec.CommandContext(ctx, k.machine.qemu[0], slices.Concat(k.machine.qemu[1:], []string{
		"-smp", "2", "-m", "2G", "-nographic", "-no-reboot", "-nic", "none", "-kernel", k.image, "-initrd", disk,
		"-append", "console=" + k.machine.console + " quiet oops=panic panic=-1 rdinit=/init " + k.machine.arguments,
	})...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start QEMU (apt-get install %s): %w", k.machine.needs, err)
	}
	log := filepath.Join(k.dir, "console.log")
	o, err := follow(out, log)
	if waited := cmd.Wait(); err == nil && waited != nil {
		err = fmt.Errorf("QEMU: %w", waited)
	}
	if err == nil {
		err = o.verdict(suites)
	}
	if err != nil {
		return nil, fmt.Errorf("linux %s: %w; the console is in %s", k.series, err, log)
	}
	o.wall, o.cpu = time.Since(begin), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	return o, nil
}
