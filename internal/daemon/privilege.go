package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/privilege"
)

// What the data plane takes, and what hooks with a user of their own take from a daemon that is root.
var (
	always    = privilege.Of(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
	otherUser = privilege.Of(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_CHOWN, unix.CAP_KILL)
)

// drop gives up what a daemon that runs does not need. A root daemon that could not write its own files then is refused: it
// would find out in the middle of an act.
func drop(opt Options, log *slog.Logger) error {
	keep := always
	if os.Geteuid() == 0 && hooksHaveUsers(opt.Config) {
		keep |= otherUser
		log.Info("hooks run as other users: the capabilities for that are kept")
	}
	switch err := privilege.Drop(keep); {
	case errors.Is(err, privilege.ErrCgo):
		log.Warn("no capability was given up", "why", err)
		return nil
	case err != nil:
		return fmt.Errorf("give up what is not needed: %w", err)
	}
	for _, dir := range []string{opt.StateDir, opt.BPFDir} {
		if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("%s: %w: it is another user's; run the daemon as that user, or give it to the one who runs it (chown)", dir, err)
		}
	}
	return nil
}

// hooksHaveUsers says whether a hook of the file names a user. A file that can't be read has none.
func hooksHaveUsers(file string) bool {
	cfg, err := config.Load(file)
	if err != nil {
		return false
	}
	for _, s := range cfg.Services {
		for _, hooks := range s.Release.Hooks {
			for _, h := range hooks {
				if h.User != "" {
					return true
				}
			}
		}
	}
	return false
}
