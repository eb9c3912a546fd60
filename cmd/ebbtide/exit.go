package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// What a verb's exit means.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitTimeout
	exitEnded
	exitRefused
	exitNoDaemon
)

// exitMeanings is in the order of the codes.
var exitMeanings = [...]string{
	exitDone:     "done and true",
	exitFailed:   "failed; of a wait: it ended or timed out as inconclusive, with the reason",
	exitUsage:    "usage: the command line is wrong, or names what does not exist",
	exitTimeout:  "the wait timed out; the drain goes on",
	exitEnded:    "the wait was ended by a rollback or another flip",
	exitRefused:  "refused by state",
	exitNoDaemon: "no daemon, or one that is starting or stopping",
}

func exitCodesHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for code, meaning := range exitMeanings {
		fmt.Fprintf(&b, "\n  %d  %s", code, meaning)
	}
	return b.String()
}

// nextStep is what to do about an error that does not say so itself.
func nextStep(err error, verb string) string {
	switch code := exitCode(err); {
	case code == exitUsage:
		return fmt.Sprintf("See '%s --help'.", verb)
	case errors.Is(err, api.ErrNoDaemon):
		return "Start it: 'systemctl start ebbtide', or see 'ebbtide daemon --help'. Does it listen elsewhere? Say so with --socket."
	case code == exitTimeout:
		return "Wait on with 'ebbtide drain SERVICE --wait', or 'ebbtide release watch SERVICE'; 'ebbtide top' shows it."
	}
	return ""
}

// exitError is an error with a code of its own.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var own exitError
	var sent *api.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &own):
		return own.code
	case errors.Is(err, api.ErrNoDaemon):
		return exitNoDaemon
	case errors.As(err, &sent):
		return codeOf(sent.Code)
	}
	return exitFailed
}

func codeOf(code api.Code) int {
	switch code {
	case api.Refused:
		return exitRefused
	case api.Usage, api.NotFound:
		return exitUsage
	case api.Unavailable:
		return exitNoDaemon
	}
	return exitFailed
}
