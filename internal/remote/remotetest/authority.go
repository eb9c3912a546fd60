// Package remotetest has an authority that issues certificates for tests of the remote API.
package remotetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	Dir  string // of its files
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

// New makes an authority whose files are in dir.
func New(tb testing.TB, dir string) *Authority {
	tb.Helper()
	a := &Authority{Dir: dir, key: newKey(tb), last: 1}
	a.cert = a.sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: "the authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}, a.key)
	a.write(tb, "ca.pem", 0o644, "CERTIFICATE", a.cert.Raw)
	return a
}

// CA is the file with its certificate.
func (a *Authority) CA() string { return filepath.Join(a.Dir, "ca.pem") }

// Server issues a certificate for 127.0.0.1 and 127.0.0.2 into NAME.pem, and its key into NAME.key, in place of those that are there.
func (a *Authority) Server(tb testing.TB, name string) *x509.Certificate {
	tb.Helper()
	return a.issue(tb, name, time.Now().Add(time.Hour), x509.ExtKeyUsageServerAuth)
}

// Client issues a certificate for somebody of that name, until a time.
func (a *Authority) Client(tb testing.TB, name string, until time.Time) *x509.Certificate {
	tb.Helper()
	return a.issue(tb, name, until, x509.ExtKeyUsageClientAuth)
}

// Files are where what was issued to a name is.
func (a *Authority) Files(name string) (cert, key string) {
	return filepath.Join(a.Dir, name+".pem"), filepath.Join(a.Dir, name+".key")
}

// Revoke takes certificates back: the list is in crl.pem.
func (a *Authority) Revoke(tb testing.TB, certs ...*x509.Certificate) (file string) {
	tb.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	return a.write(tb, "crl.pem", 0o644, "X509 CRL", der)
}

func (a *Authority) issue(tb testing.TB, name string, until time.Time, usage x509.ExtKeyUsage) *x509.Certificate {
	tb.Helper()
	a.last++
	key := newKey(tb)
	cert := a.sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	a.write(tb, name+".key", 0o600, "PRIVATE KEY", der)
	a.write(tb, name+".pem", 0o644, "CERTIFICATE", cert.Raw)
	return cert
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (a *Authority) sign(tb testing.TB, what *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	by := a.cert
	if by == nil {
		by = what
	}
	der, err := x509.CreateCertificate(rand.Reader, what, by, &key.PublicKey, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// write puts a file in place of another at once, as whoever renews certificates should.
func (a *Authority) write(tb testing.TB, name string, mode os.FileMode, kind string, der []byte) string {
	tb.Helper()
	path := filepath.Join(a.Dir, name)
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
	return path
}
