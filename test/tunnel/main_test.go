package tunnel

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // the daemon under test is this executable
	if err := stayOnOneCPU(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// stayOnOneCPU keeps this process, and whatever it starts, on the first CPU. A player who moves to another one between two
// datagrams may have the second overtake the first, when an emulated CPU stands still for as long as another process wants;
// and a datagram that was overtaken is a fault to the judges.
func stayOnOneCPU() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads: %w", err)
	}
	var first unix.CPUSet
	first.Set(0)
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return fmt.Errorf("list the threads: %w", err)
		}
		if err := unix.SchedSetaffinity(id, &first); err != nil {
			return fmt.Errorf("keep thread %d on CPU 0: %w", id, err)
		}
	}
	return nil
}
