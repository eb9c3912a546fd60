package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Listen makes the socket at path, for its owner and group only. One that
// nobody listens on is replaced; group "" is the group of the process. Closing
// the listener removes the socket.
func Listen(path, group string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := checkStale(path); err != nil {
		return nil, err
	}
	// It takes its name only once its mode and group are right.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove what a crash left: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the socket: %w", err)
	}
	ln.SetUnlinkOnClose(false)
	if err := publish(fresh, path, group); err != nil {
		return nil, errors.Join(err, ln.Close(), os.Remove(fresh))
	}
	return &listener{UnixListener: ln, path: path}, nil
}

func publish(fresh, path, group string) error {
	if group != "" {
		gid, err := groupID(group)
		if err != nil {
			return fmt.Errorf("group of the socket: %w", err)
		}
		if err := os.Chown(fresh, -1, gid); err != nil {
			return fmt.Errorf("group of the socket: %w", err)
		}
	}
	if err := os.Chmod(fresh, 0o660); err != nil {
		return fmt.Errorf("mode of the socket: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("name of the socket: %w", err)
	}
	return nil
}

// checkStale refuses a path that is in use, or that is no socket.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is no socket, and in the way of one", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another daemon listens on %s", path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("look whether another daemon listens: %w", err)
	}
	return nil
}

// groupID takes a name or a number.
func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// listener removes its socket once: a later one may have the path by then.
type listener struct {
	*net.UnixListener
	path string
	once sync.Once
}

func (l *listener) Close() error {
	var err error
	l.once.Do(func() { err = os.Remove(l.path) })
	return errors.Join(err, l.UnixListener.Close())
}
