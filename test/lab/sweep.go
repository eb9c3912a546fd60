package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sweep removes what labs of dead processes left: namespaces, mounts with
// their pins, directories. Labs whose process lives are not touched.
func Sweep() error {
	return exclusively(func() error {
		ids, err := labIDs()
		if err != nil {
			return err
		}
		var errs []error
		for _, id := range ids {
			errs = append(errs, sweepLab(id))
		}
		return errors.Join(errs...)
	})
}

// sweepLab removes one lab if its process is dead.
func sweepLab(id string) error {
	alive, err := alive(id)
	if err != nil || alive {
		return err
	}
	names, err := namespaces(nsPrefix + id + "-")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if err := removeName(name); err != nil {
			errs = append(errs, fmt.Errorf("sweep namespace %s: %w", name, err))
		}
	}
	errs = append(errs, unmountUnder(dirPrefix+id))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(dirPrefix + id)
}

// removeName takes a namespace's name away. One that was killed half-way may be a file with nothing mounted on it.
func removeName(name string) error {
	path := filepath.Join(netnsDir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return os.Remove(path)
}

// alive says whether a process holds the lab's lock.
func alive(id string) (bool, error) {
	f, err := os.Open(filepath.Join(dirPrefix+id, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lab %s: %w", id, err)
	}
	defer f.Close()
	err = flock(f)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// labIDs lists the labs that have a directory, or a namespace that outlived it.
func labIDs() ([]string, error) {
	ids, err := filepath.Glob(dirPrefix + "*")
	if err != nil {
		return nil, err
	}
	for i := range ids {
		ids[i] = strings.TrimPrefix(ids[i], dirPrefix)
	}
	names, err := namespaces(nsPrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, nsPrefix), "-")
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// namespaces lists the named namespaces with a prefix.
func namespaces(prefix string) ([]string, error) {
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
