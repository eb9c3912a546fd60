// Package disk has the error of a file that can't be written: what the daemon would do is not done, may be tried again
// later, and mostly an operator can do something about it.
package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Error is of a file that can't be written now.
type Error struct{ err error }

// Fault makes an [Error] of what a file system said; nil stays nil.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// Is says whether an error is, or wraps, an [Error].
func Is(err error) bool { return errors.As(err, new(*Error)) }

// Error says what went wrong, and what to do about it where that is known.
func (e *Error) Error() string {
	for _, a := range advice {
		if errors.Is(e.err, a.is) {
			return e.err.Error() + ": " + a.what
		}
	}
	return e.err.Error()
}

func (e *Error) Unwrap() error { return e.err }

// advice is what helps, by what went wrong.
var advice = []struct {
	is   error
	what string
}{
	{unix.ENOSPC, "make room on that file system, then it goes on by itself"},
	{unix.EDQUOT, "make room there, or raise the quota of the daemon's user; then it goes on by itself"},
	{unix.EROFS, "mount that file system writable again, then it goes on by itself; dmesg may say why it is not"},
	{unix.EACCES, "let the daemon's user write there"},
	{unix.EPERM, "let the daemon's user write there"},
	{unix.EIO, "the disk fails: look into dmesg"},
}
