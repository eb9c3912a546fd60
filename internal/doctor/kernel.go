package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// oldest is the kernel that ebbtide is built for, and tested on.
var oldest = [2]int{6, 1}

func (h Host) kernel() Finding {
	f := Finding{Check: "kernel", Verdict: OK, Detail: "Linux " + h.text("proc/sys/kernel/osrelease")}
	version, known := versionOf(h.text("proc/sys/kernel/osrelease"))
	switch {
	case !known:
		f.Verdict = Unknown
	case version[0] < oldest[0] || version[0] == oldest[0] && version[1] < oldest[1]:
		f.Verdict = Fails
		f.Do = fmt.Sprintf("install Linux %d.%d or later", oldest[0], oldest[1])
	}
	return f
}

// versionOf takes the first two numbers of a release such as 6.1.0-40-amd64.
func versionOf(release string) (version [2]int, known bool) {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return version, false
	}
	for i := range version {
		digits := strings.IndexFunc(parts[i]+" ", func(r rune) bool { return r < '0' || r > '9' })
		n, err := strconv.Atoi(parts[i][:digits])
		if err != nil {
			return version, false
		}
		version[i] = n
	}
	return version, true
}

// btf is not needed by the program, but by who looks at it: bpftool shows its maps with names.
func (h Host) btf() Finding {
	const file = "sys/kernel/btf/vmlinux"
	if _, err := os.Stat(filepath.Join(h.Root, file)); err != nil {
		return Finding{Check: "BTF", Verdict: Note, Detail: "the kernel has no types of its own (/" + file + ")", Do: "ebbtide runs without; for bpftool, take a kernel with CONFIG_DEBUG_INFO_BTF"}
	}
	return Finding{Check: "BTF", Verdict: OK, Detail: "/" + file}
}

// privileges asks the kernel whether this user may load an XDP program, which is also whether the kernel can.
func (h Host) privileges() Finding {
	f := Finding{Check: "XDP programs", Verdict: OK, Detail: "the kernel loads them"}
	switch err := features.HaveProgramType(ebpf.XDP); {
	case err == nil:
	case os.IsPermission(err):
		f.Verdict, f.Detail, f.Do = Unknown, "this user may not load any", "ask as root"
	default:
		f.Verdict, f.Detail, f.Do = Fails, fmt.Sprintf("the kernel loads none: %v", err), "take a kernel with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS, not locked down"
	}
	return f
}

func (h Host) jit() Finding {
	const file = "proc/sys/net/core/bpf_jit_enable"
	switch n, there := h.number(file); {
	case !there: // built without, or for root only
		return Finding{Check: "JIT", Verdict: Unknown, Detail: "/" + file + " can't be read"}
	case n == 0:
		return Finding{Check: "JIT", Verdict: Note, Detail: "programs are interpreted, which is several times slower", Do: "sysctl -w net.core.bpf_jit_enable=1"}
	}
	return Finding{Check: "JIT", Verdict: OK, Detail: "programs run as machine code"}
}

// memlock limited BPF memory before Linux 5.11, which is before the oldest kernel: a low one is no trouble any more.
func (h Host) memlock() Finding {
	f := Finding{Check: "memlock", Verdict: OK, Detail: "the kernel counts BPF memory by control group, not by this limit"}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return Finding{Check: "memlock", Verdict: Unknown, Detail: err.Error()}
	}
	if limit.Cur == unix.RLIM_INFINITY {
		f.Detail = "no limit"
	}
	return f
}

// bpffs is where a daemon that is not root needs it to be.
func (h Host) bpffs() Finding {
	parent := filepath.Dir(h.BPFDir)
	f := Finding{Check: "bpffs", Verdict: OK, Detail: "mounted at " + parent}
	var fs unix.Statfs_t
	switch err := unix.Statfs(filepath.Join(h.Root, parent), &fs); {
	case err == nil && fs.Type == unix.BPF_FS_MAGIC:
	case os.IsPermission(err):
		f.Verdict, f.Detail, f.Do = Unknown, parent+" is not for this user's eyes", "ask as root"
	default:
		f.Verdict, f.Detail = Note, "not mounted at "+parent
		f.Do = "systemctl start ebbtide-bpffs (the packages' unit), or: mount -t bpf bpf " + parent + "; a daemon that is root mounts it itself"
	}
	return f
}

// room compares the flow table with the memory that is left. A flow takes 16 bytes in a line and 32 beside it, and a table is
// sized so that it is seldom full.
func (h Host) room() Finding {
	const bytesAFlow = 2 * (16 + 32)
	need := uint64(h.Config.MaxFlows) * bytesAFlow
	f := Finding{Check: "memory", Verdict: OK}
	for line := range strings.Lines(h.text("proc/meminfo")) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			break
		}
		f.Detail = fmt.Sprintf("some %d MiB for max_flows %d, %d MiB available", need>>20, h.Config.MaxFlows, kib>>10)
		if need > kib<<10 {
			f.Verdict, f.Do = Fails, "lower max_flows, or add memory"
		}
		return f
	}
	f.Verdict, f.Detail = Unknown, "/proc/meminfo does not say what is available"
	return f
}
