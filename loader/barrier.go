package loader

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// membarrierCmdGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h.
const membarrierCmdGlobal = 1

// Barrier returns when every packet that was in the program before has left it: a grace period. membarrier waits for
// one; where it is refused (nohz_full), replacing an inner map waits the same.
func (p *Plane) Barrier() (time.Duration, error) {
	begin := time.Now()
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierCmdGlobal, 0, 0); errno == 0 {
		return time.Since(begin), nil
	}
	if err := p.Tables.GracePeriod(); err != nil {
		return 0, fmt.Errorf("wait for the packets under way: %w", err)
	}
	return time.Since(begin), nil
}
