package remote

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/config"
)

// access is who gets in, and as whom the daemon answers, as the files say at one moment. It is never changed.
type access struct {
	conf    config.API
	stamps  map[string]stamp
	who     [sha256.Size]byte // of all that says who gets in
	cert    tls.Certificate
	clients *x509.CertPool  // nil: no certificates are taken
	revoked map[string]bool // serials
	tokens  map[hashed]string

	// ended is when another access is in place that lets in other people: who is in has to ask anew.
	ended context.Context
	end   context.CancelFunc
}

// stamp says whether a file is another one.
type stamp struct {
	size  int64
	mode  fs.FileMode
	mtime time.Time
	inode uint64
}

// errEnded is what a stream ends with when other people get in.
var errEnded = errors.New("who gets in has changed")

// maxFile bounds each file.
const maxFile = 4 << 20

// load reads the files. Whatever is wrong with one of them is an error.
func load(conf config.API) (*access, error) {
	a := &access{conf: conf, stamps: map[string]stamp{}}
	key, err := a.read(conf.TLS.Key, 0o027)
	if err != nil {
		return nil, fmt.Errorf("api.tls.key: %w", err)
	}
	cert, err := a.read(conf.TLS.Cert, 0o022)
	if err != nil {
		return nil, fmt.Errorf("api.tls.cert: %w", err)
	}
	if a.cert, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("api.tls: %s with %s: %w", conf.TLS.Cert, conf.TLS.Key, err)
	}
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(conf); err != nil {
		return nil, err
	}
	if err := a.loadClients(sum); err != nil {
		return nil, err
	}
	if err := a.loadTokens(sum); err != nil {
		return nil, err
	}
	sum.Sum(a.who[:0])
	a.ended, a.end = context.WithCancel(context.Background())
	return a, nil
}

// read reads a file that must not have some permissions, and remembers it.
func (a *access) read(path string, mustNot fs.FileMode) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	case info.Mode().Perm()&mustNot != 0:
		return nil, fmt.Errorf("%s has mode %04o, so others have access to it: chmod %04o", path, info.Mode().Perm(), info.Mode().Perm()&^mustNot)
	}
	a.stamps[path] = stampOf(info)
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{info.Size(), info.Mode(), info.ModTime(), 0}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = stat.Ino
	}
	return s
}

// stale says whether a file is another one than when it was read.
func (a *access) stale() bool {
	for path, was := range a.stamps {
		info, err := os.Stat(path)
		if err != nil || stampOf(info) != was {
			return true
		}
	}
	return false
}

func (a *access) loadClients(sum io.Writer) error {
	if a.conf.TLS.ClientCA == "" {
		return nil
	}
	text, err := a.read(a.conf.TLS.ClientCA, 0o022)
	if err != nil {
		return fmt.Errorf("api.tls.client_ca: %w", err)
	}
	_, _ = sum.Write(text) // a hash takes all
	a.clients = x509.NewCertPool()
	authorities, err := certificates(text)
	if err != nil {
		return fmt.Errorf("api.tls.client_ca: %s: %w", a.conf.TLS.ClientCA, err)
	}
	for _, c := range authorities {
		a.clients.AddCert(c)
	}
	if a.conf.TLS.CRL == "" {
		return nil
	}
	if text, err = a.read(a.conf.TLS.CRL, 0o022); err != nil {
		return fmt.Errorf("api.tls.crl: %w", err)
	}
	_, _ = sum.Write(text) // a hash takes all
	if a.revoked, err = revoked(text, authorities); err != nil {
		return fmt.Errorf("api.tls.crl: %s: %w", a.conf.TLS.CRL, err)
	}
	return nil
}

func (a *access) loadTokens(sum io.Writer) error {
	if a.conf.Tokens == "" {
		return nil
	}
	text, err := a.read(a.conf.Tokens, 0o022)
	if err != nil {
		return fmt.Errorf("api.tokens: %w", err)
	}
	_, _ = sum.Write(text) // a hash takes all
	if a.tokens, err = parseTokens(text); err != nil {
		return fmt.Errorf("api.tokens: %s: %w", a.conf.Tokens, err)
	}
	return nil
}

func certificates(text []byte) (out []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	return out, nil
}

// revoked reads a list of certificates that are taken back, which one of the authorities has signed. One that is past its next
// update is used all the same: it takes back what it did, and a list that was forgotten must not lock people out.
func revoked(text []byte, authorities []*x509.Certificate) (map[string]bool, error) {
	der := text
	if block, _ := pem.Decode(text); block != nil {
		der = block.Bytes
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	signed := false
	for _, c := range authorities {
		signed = signed || list.CheckSignatureFrom(c) == nil
	}
	if !signed {
		return nil, errors.New("none of client_ca has signed it")
	}
	out := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		out[serial(e.SerialNumber)] = true
	}
	return out, nil
}

func serial(n *big.Int) string { return n.Text(16) }

// tls is for each connection.
func (a *access) tls() *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.cert}, ClientCAs: a.clients,
		SessionTicketsDisabled: true, // each connection proves itself
	}
	switch {
	case a.clients == nil:
	case a.conf.Tokens == "":
		c.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c
}
