package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// nsPrefix begins the name of every namespace: ebbt-<id>-<role>.
	nsPrefix = "ebbt-"
	// dirPrefix begins the directory of every lab.
	dirPrefix = "/run/ebbtide-test-"
	// lockName is the file in it that the lab's process holds locked.
	lockName = "lock"
)

// claim makes a new lab's directory and locks it, as a sign of life.
func claim() (*Lab, error) {
	id := make([]byte, 3)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("lab id: %w", err)
	}
	l := &Lab{ID: hex.EncodeToString(id)}
	l.Dir = dirPrefix + l.ID
	err := exclusively(func() (err error) {
		if err := os.Mkdir(l.Dir, 0o755); err != nil {
			return err
		}
		if l.lock, err = os.Create(filepath.Join(l.Dir, lockName)); err != nil {
			return err
		}
		return flock(l.lock)
	})
	if err != nil {
		return nil, fmt.Errorf("claim lab: %w", err)
	}
	return l, nil
}

// release removes the lab's directory and mounts, and gives up the lock. The
// directory goes last: as long as it is there, a sweep finds the lab.
func (l *Lab) release() error {
	return exclusively(func() error {
		if err := unmountUnder(l.Dir); err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(l.Dir), l.lock.Close())
	})
}

// exclusively runs f while no other process claims, releases or sweeps.
// Everything that makes or removes passes here, so here root is asked for.
func exclusively(f func() error) error {
	if err := needRoot(); err != nil {
		return err
	}
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(netnsDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := retryIntr(func() error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX) }); err != nil {
		return fmt.Errorf("lock %s: %w", netnsDir, err)
	}
	return f()
}

// flock takes f's lock or fails at once.
func flock(f *os.File) error {
	return retryIntr(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
}

// retryIntr repeats a call that a signal interrupted.
func retryIntr(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// needRoot says in one line what is missing.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("a lab needs root, for network namespaces and XDP: run this as root (sudo)")
	}
	return nil
}
