package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// Access is how a browser gets at the page. Its file is for the daemon's user only.
type Access struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// URL has the token behind a #, so that the browser keeps it to itself.
func (a Access) URL() string { return "http://" + a.Address + "/#" + a.Token }

// AccessFile is where the daemon that has a socket says how to get at its page.
func AccessFile(socket string) string { return strings.TrimSuffix(socket, ".sock") + ".web" }

// ReadAccess reads what [AccessFile] names. It is an [fs.ErrNotExist] where no page is served.
func ReadAccess(socket string) (a Access, err error) {
	text, err := os.ReadFile(AccessFile(socket))
	if err != nil {
		return a, fmt.Errorf("read the page's token: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil || a.Address == "" || a.Token == "" {
		return Access{}, fmt.Errorf("read the page's token: %s holds none: remove it, and start the daemon again", AccessFile(socket))
	}
	return a, nil
}

// giveAccess writes the file. The token that was there stays, so that a page which is open outlives a restart, unless another
// could have read or written it.
func giveAccess(path string, at netip.AddrPort) (Access, error) {
	a := Access{Address: at.String(), Token: keptToken(path)}
	if a.Token == "" {
		a.Token = rand.Text()
	}
	text, err := json.Marshal(a)
	if err != nil {
		return a, fmt.Errorf("write the page's token: %w", err)
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("write the page's token: %w", err)
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return a, fmt.Errorf("write the page's token: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return a, fmt.Errorf("write the page's token: %w", errors.Join(err, os.Remove(fresh)))
	}
	return a, nil
}

// keptToken is that of an earlier daemon, "" when there is none that is nobody else's.
func keptToken(path string) string {
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		return ""
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return ""
	}
	var a Access
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &a) != nil || len(a.Token) < len(rand.Text()) {
		return ""
	}
	return a.Token
}

// is compares in a time that tells nothing of the token.
func (a Access) is(token string) bool {
	want, got := sha256.Sum256([]byte(a.Token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
