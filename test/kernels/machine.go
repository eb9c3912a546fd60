package main

import "path/filepath"

// recordedArch is that whose verification is recorded: a program looks the same to each verifier, but for its constants.
const recordedArch = "amd64"

// machine is what QEMU emulates, by an architecture's name in Go and in Debian.
type machine struct {
	arch      string
	qemu      []string
	needs     string // package
	console   string
	arguments string // of the kernel
}

// machines by architecture.
var machines = map[string]machine{
	// Without cx16: the kernel's allocator of 6.12 uses that instruction, and QEMU 7.2's emulation of it ends in a double
	// fault when an interrupt comes in the wrong place. Without erms and fsrm: the kernel would copy bytes by an instruction
	// that is emulated a byte at a time, and its verifier does little but copy.
	"amd64": {
		arch: "amd64", needs: "qemu-system-x86", console: "ttyS0", arguments: "no_timer_check",
		qemu: []string{"qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,cx16=off,la57=off,erms=off,fsrm=off"},
	},
	// A CPU that has single-instruction atomics, and no pointer authentication, which takes long to emulate.
	"arm64": {
		arch: "arm64", needs: "qemu-system-arm", console: "ttyAMA0",
		qemu: []string{"qemu-system-aarch64", "-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "neoverse-n1"},
	},
}

// cache of the machine's kernels and ram disks.
func (m machine) cache() string {
	if m.arch == recordedArch {
		return cache
	}
	return filepath.Join(cache, m.arch)
}
