package packages

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

// forEver is longer than a boot takes on a busy machine.
const forEver = 2 * time.Minute

// machine is a Debian with systemd as its first process, in a container. What it writes is gone with it.
type machine struct {
	leader string // its first process, as this machine numbers it
	shared string // a directory here, which is /shared there
}

// mustBoot boots one in a network namespace, and waits until systemd has started all.
func mustBoot(t *testing.T, ns *lab.NS, id string) *machine {
	t.Helper()
	m := &machine{shared: t.TempDir()}
	notify := filepath.Join(t.TempDir(), "notify")
	heard, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	var console bytes.Buffer
	// A namespace of processes around it: when this process dies, however it does, the machine dies too.
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "systemd-nspawn", "--quiet", "--boot", "--directory="+mustRoot(t), "--volatile=overlay", "--machine=ebbt-"+id,
		"--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe", "--network-namespace-path=/run/netns/"+ns.Name,
		"--capability=all", "--system-call-filter=bpf perf_event_open", "--bind="+m.shared+":/shared")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		heard.Close()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("console:\n%s", console.String())
		}
	})
	if err := awaitBoot(heard); err != nil {
		t.Fatalf("boot: %v\n%s", err, console.String())
	}
	m.leader = mustHaveChild(t, mustHaveChild(t, strconv.Itoa(cmd.Process.Pid)))
	return m
}

// awaitBoot hears that all is started.
func awaitBoot(heard *net.UnixConn) error {
	if err := heard.SetReadDeadline(time.Now().Add(forEver)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := heard.Read(buf)
		if err != nil || slices.Contains(strings.Split(string(buf[:n]), "\n"), "READY=1") {
			return err
		}
	}
}

// mustHaveChild is the only one of a process.
func mustHaveChild(t *testing.T, pid string) string {
	t.Helper()
	children := strings.Fields(string(mustRead(t, "/proc/"+pid+"/task/"+pid+"/children")))
	if len(children) != 1 {
		t.Fatalf("process %s has the children %v, want one", pid, children)
	}
	return children[0]
}

// try runs a command in it, also when the test is over.
func (m *machine) try(t *testing.T, command string) (string, error) {
	t.Helper()
	cmd := exec.Command("nsenter", "--target", m.leader, "--all", "--", "/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return string(out), err
}

// must runs a command that has to end well.
func (m *machine) must(t *testing.T, command string) string {
	t.Helper()
	out, err := m.try(t, command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mustFail runs one that has not to.
func (m *machine) mustFail(t *testing.T, command string) string {
	t.Helper()
	out, err := m.try(t, command)
	if err == nil {
		t.Fatalf("%s ended well:\n%s", command, out)
	}
	return out
}

// share puts a file where the machine finds it, and names it there.
func (m *machine) share(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.shared, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return "/shared/" + name
}

// shareFile is share for a file that there is.
func (m *machine) shareFile(t *testing.T, file string) string {
	t.Helper()
	return m.share(t, filepath.Base(file), mustRead(t, file))
}

// property of a unit, as systemd shows it.
func (m *machine) property(t *testing.T, unit, name string) string {
	t.Helper()
	return m.must(t, "printf %s \"$(systemctl show --property="+name+" --value "+unit+")\"")
}

// number is a property that is one.
func (m *machine) number(t *testing.T, unit, name string) int {
	t.Helper()
	n, err := strconv.Atoi(m.property(t, unit, name))
	if err != nil {
		t.Fatalf("%s of %s: %v", name, unit, err)
	}
	return n
}
