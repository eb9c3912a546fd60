package config

import (
	"net/netip"
	"path"
	"slices"
	"strings"
	"unicode"
)

// API is where the daemon answers beside its socket, and to whom.
type API struct {
	Listen netip.AddrPort
	TLS    APITLS
	Tokens string // file with the hashes of bearer tokens; empty: none are taken
	Roles  []RoleOf
}

// APITLS are PEM files.
type APITLS struct {
	Cert, Key string
	ClientCA  string // signs the clients' certificates; empty: none are taken
	CRL       string // those that are taken back; empty: none
}

// RoleOf says what whoever shows a certificate, or a token, may do: one of both is there.
type RoleOf struct {
	Certificate string // its subject's common name
	Token       string // its name in the file
	Role        Role
	Services    []string // none: all of them, and what is the whole host's
}

// Role is what somebody may do: each may what the one before it may.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // sees counts and what is done, but no player's address
	Operator Role = "operator" // does what a release needs
	Admin    Role = "admin"    // breaks locks, traces packets, detaches
)

// MaxRoles bounds the roles of a file, and maxRoleName whom one is for.
const (
	MaxRoles    = 1000
	maxRoleName = 64
)

// May says whether a role is enough where another is needed.
func (r Role) May(need Role) bool {
	ranks := []Role{Viewer, Operator, Admin}
	has, needs := slices.Index(ranks, r), slices.Index(ranks, need)
	return has >= 0 && needs >= 0 && has >= needs
}

// api reads where the daemon answers.
func (v value) api(services []Service) *API {
	a := new(API)
	fields, ok := v.mapping("listen", "tls", "tokens", "roles")
	if !ok {
		return nil
	}
	if at, ok := fields.need("listen"); ok {
		a.Listen = at.addrPort()
	}
	if at, ok := fields.need("tls"); ok {
		a.TLS = at.apiTLS()
	}
	if at, ok := fields.get("tokens"); ok {
		a.Tokens = at.wholePath()
	}
	if a.TLS.ClientCA == "" && a.Tokens == "" {
		v.fail("nobody could ask: give tls.client_ca or tokens")
	}
	if at, ok := fields.need("roles"); ok {
		a.Roles = at.roles(*a, services)
	}
	return a
}

func (v value) addrPort() netip.AddrPort {
	text, ok := v.text()
	if !ok {
		return netip.AddrPort{}
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		v.fail(`want an address and a port, such as 192.0.2.1:9596 or "[::]:9596", got %s`, quote(text))
	}
	return at
}

func (v value) apiTLS() (t APITLS) {
	fields, ok := v.mapping("cert", "key", "client_ca", "crl")
	if !ok {
		return t
	}
	if at, ok := fields.need("cert"); ok {
		t.Cert = at.wholePath()
	}
	if at, ok := fields.need("key"); ok {
		t.Key = at.wholePath()
	}
	if at, ok := fields.get("client_ca"); ok {
		t.ClientCA = at.wholePath()
	}
	if at, ok := fields.get("crl"); ok {
		t.CRL = at.wholePath()
	}
	if t.CRL != "" && t.ClientCA == "" {
		v.fail("crl: it takes back certificates of client_ca, which is missing")
	}
	return t
}

func (v value) wholePath() string {
	text, ok := v.text()
	if ok && (!path.IsAbs(text) || strings.ContainsRune(text, 0)) {
		v.fail("want a file's whole path, such as /etc/ebbtide/api.pem, got %s", quote(text))
	}
	return text
}

func (v value) roles(a API, services []Service) (out []RoleOf) {
	items, ok := v.list()
	if !ok {
		return nil
	}
	if len(items) > MaxRoles {
		v.fail("%d roles are more than %d", len(items), MaxRoles)
		return nil
	}
	known := map[string]bool{}
	for _, s := range services {
		known[s.Name] = true
	}
	first := map[[2]string]value{}
	for _, item := range items {
		r, ok := item.roleOf(a, known)
		if !ok {
			continue
		}
		whom := [2]string{r.Certificate, r.Token}
		if before, twice := first[whom]; twice {
			item.fail("it is already %s on line %d", before.field, before.line)
			continue
		}
		first[whom] = item
		out = append(out, r)
	}
	return out
}

func (v value) roleOf(a API, known map[string]bool) (r RoleOf, ok bool) {
	fields, ok := v.mapping("certificate", "token", "role", "services")
	if !ok {
		return r, false
	}
	cert, isCert := fields.get("certificate")
	token, isToken := fields.get("token")
	switch {
	case isCert == isToken:
		v.fail("want one of certificate and token: whose role it is")
		return r, false
	case isCert && a.TLS.ClientCA == "":
		cert.fail("no certificates are taken without tls.client_ca")
	case isCert:
		r.Certificate = cert.roleName()
	case a.Tokens == "":
		token.fail("no tokens are taken without a tokens file")
	default:
		r.Token = token.roleName()
	}
	if at, ok := fields.need("role"); ok {
		r.Role, _ = oneOf(at, Viewer, Operator, Admin)
	}
	if at, ok := fields.get("services"); ok {
		list, _ := at.list()
		r.Services = namesOf(list, known)
	}
	return r, true
}

// IsRoleName says whether somebody may be called so: his name goes into the journal and into messages.
func IsRoleName(name string) bool {
	return name != "" && len(name) <= maxRoleName && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (v value) roleName() string {
	text, ok := v.text()
	if ok && !IsRoleName(text) {
		v.fail("want 1 to %d printable bytes, got %s", maxRoleName, quote(text))
	}
	return text
}
