package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Dialer makes the connection of a check.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// AskHTTP asks an address for a page, and gives its status. One that a check does not take for well is an error.
func AskHTTP(ctx context.Context, c config.HTTPCheck, to netip.AddrPort, dial Dialer) (status int, err error) {
	t := &http.Transport{DialContext: dial}
	scheme := "http"
	if c.TLS {
		scheme = "https"
		if t.TLSClientConfig, err = trust(c.Trust); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+to.String()+c.Path, nil)
	if err != nil {
		return 0, err
	}
	if c.Trust != nil && c.Trust.ServerName != "" {
		req.Host = c.Trust.ServerName // who has several names answers for the one that was asked for
	}
	defer t.CloseIdleConnections()
	res, err := client(t).Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if !c.Status.Has(res.StatusCode) {
		return res.StatusCode, fmt.Errorf("status %d", res.StatusCode)
	}
	return res.StatusCode, nil
}

// trust is how a certificate is looked at. Its file is read for each check, so that one that was renewed is found.
func trust(t *config.Trust) (*tls.Config, error) {
	if t == nil { // the backend is known by its address, for which mostly no certificate is made
		return &tls.Config{InsecureSkipVerify: true}, nil
	}
	c := &tls.Config{ServerName: t.ServerName} // empty: the address that is asked
	if t.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("read the ca of the check: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the ca of the check: no certificate is in %s", t.CA)
	}
	return c, nil
}
