// Package systemd is what the daemon says to the service manager that started it, and takes from it. Started by nobody
// who listens, it says nothing.
package systemd

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Manager is who started this process. The zero value is one that does not listen.
type Manager struct {
	notify func(state string)
	watch  time.Duration
}

// FromEnvironment finds the manager by NOTIFY_SOCKET and WATCHDOG_USEC.
func FromEnvironment() (Manager, error) {
	watch, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return Manager{}, fmt.Errorf("read WATCHDOG_USEC: %w", err)
	}
	// A manager that went away is no reason to stop.
	return Manager{notify: func(state string) { _, _ = daemon.SdNotify(false, state) }, watch: watch}, nil
}

// Watch is how long it waits for a word of [Manager.Alive]; 0: it doesn't.
func (m Manager) Watch() time.Duration { return m.watch }

// Ready says that the API answers, or that a reload is over.
func (m Manager) Ready() { m.say(daemon.SdNotifyReady) }

// Alive says that the daemon does its work.
func (m Manager) Alive() { m.say(daemon.SdNotifyWatchdog) }

// Stopping says that the end is meant.
func (m Manager) Stopping() { m.say(daemon.SdNotifyStopping) }

// Reloading says that what it asked for by SIGHUP is under way; [Manager.Ready] ends that.
func (m Manager) Reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return
	}
	m.say(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/int64(time.Microsecond)))
}

func (m Manager) say(state string) {
	if m.notify != nil {
		m.notify(state)
	}
}
