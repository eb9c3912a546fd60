package hook

import (
	"errors"
	"fmt"
	osuser "os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/privilege"
)

// identity is whom a program runs as.
type identity struct {
	credential *syscall.Credential // nil: the daemon's own
	name, home string
}

// identify finds a user; the empty name is the daemon's own, which has the number euid.
func identify(name string, euid int) (identity, error) {
	if name == "" {
		name = strconv.Itoa(euid)
		u, err := osuser.LookupId(name)
		if err != nil {
			return identity{name: name, home: "/"}, nil // a container may have no names
		}
		return identity{name: u.Username, home: u.HomeDir}, nil
	}
	u, err := osuser.Lookup(name)
	if errors.As(err, new(osuser.UnknownUserError)) {
		u, err = osuser.LookupId(name)
	}
	if err != nil {
		return identity{}, fmt.Errorf("there is no user %s on this machine: make it, or name another", name)
	}
	id := identity{name: u.Username, home: u.HomeDir}
	if u.Uid == strconv.Itoa(euid) {
		return id, nil
	}
	if euid != 0 {
		return identity{}, fmt.Errorf("the daemon is not root: it runs programs as its own user only, and not as %s", name)
	}
	if have, err := privilege.Effective(); err == nil && !have.Has(privilege.Of(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_CHOWN, unix.CAP_KILL)) {
		return identity{}, fmt.Errorf("the daemon has given up to run programs as %s, since no hook had a user when it started: restart it, which cuts nobody", name)
	}
	id.credential, err = credential(u)
	return id, err
}

func credential(u *osuser.User) (*syscall.Credential, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("the groups of user %s: %w", u.Username, err)
	}
	numbers := make([]uint32, 0, len(ids)+2)
	for _, text := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the groups of user %s: %w", u.Username, err)
		}
		numbers = append(numbers, uint32(n))
	}
	return &syscall.Credential{Uid: numbers[0], Gid: numbers[1], Groups: numbers[2:]}, nil
}

// environment is all that a program sees besides its call. The daemon's own is not for it: it may hold secrets.
func (id identity) environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"HOME=" + id.home, "USER=" + id.name, "LOGNAME=" + id.name,
	}
}
