// Package sign signs what is posted to others, so that they can tell who sent it.
package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The headers of a signature.
const (
	Timestamp = "Ebbtide-Timestamp"
	Signature = "Ebbtide-Signature"
)

// maxSecret is far over what a secret needs.
const maxSecret = 4 << 10

// Header signs a body with the secret in a file, which is read anew each time.
func Header(h http.Header, secretFile string, body []byte, now time.Time) error {
	secret, err := readSecret(secretFile)
	if err != nil {
		return err
	}
	timestamp, signature := Sign(secret, body, now)
	h.Set(Timestamp, timestamp)
	h.Set(Signature, signature)
	return nil
}

// Sign gives the two headers that say who sent a body and when: the time in seconds, and the HMAC-SHA256 of that time, a
// dot and the body. Whoever checks them refuses what is older than a few minutes.
func Sign(secret, body []byte, now time.Time) (timestamp, signature string) {
	timestamp = strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return timestamp, "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// readSecret reads a secret, without the line's end behind it. A file that others may read holds none.
func readSecret(path string) ([]byte, error) {
	// A FIFO would block.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the secret: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("the secret %s is no file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the secret %s has mode %04o, so others have access to it: chmod 0600, and take a new secret", path, info.Mode().Perm())
	}
	secret, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	secret = bytes.TrimRight(secret, "\r\n")
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the secret: %w", err)
	case len(secret) == 0:
		return nil, fmt.Errorf("the secret %s is empty", path)
	case len(secret) > maxSecret:
		return nil, errors.New("the secret is longer than 4 KiB")
	}
	return secret, nil
}
