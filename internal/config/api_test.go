package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

const soundAPI = `{listen: "192.0.2.1:9596", tls: {cert: /c, key: /k, client_ca: /ca, crl: /crl}, tokens: /t, roles: [` +
	`{certificate: alice, role: admin}, {token: ci, role: operator, services: [world]}]}`

// withAPI puts it on line 2.
func withAPI(api string) string { return "api: " + api + "\nservices:" }

func TestTheRemoteAPIIsOffUnlessTheFileSaysSo(t *testing.T) {
	if cfg := mustParse(t, sound); cfg.API != nil {
		t.Errorf("got %+v", cfg.API)
	}
}

func TestTheRemoteAPIIsRead(t *testing.T) {
	cfg := mustParse(t, strings.Replace(sound, "services:", withAPI(soundAPI), 1))
	want := &API{
		Listen: netip.MustParseAddrPort("192.0.2.1:9596"), TLS: APITLS{"/c", "/k", "/ca", "/crl"}, Tokens: "/t",
		Roles: []RoleOf{{Certificate: "alice", Role: Admin}, {Token: "ci", Role: Operator, Services: []string{"world"}}},
	}
	if !reflect.DeepEqual(cfg.API, want) {
		t.Errorf("got %+v", cfg.API)
	}
}

func TestMistakesOfTheRemoteAPIAreNamed(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(soundAPI, old) {
			t.Fatalf("%q is not there", old)
		}
		return withAPI(strings.Replace(soundAPI, old, new, 1))
	}
	refuse(t, []mistake{
		{"nothing", "services:", withAPI("{}"), []string{
			"2: api.listen: missing", "2: api.tls: missing", "2: api: nobody could ask: give tls.client_ca or tokens", "2: api.roles: missing"}},
		{"a name to listen on", "services:", with("192.0.2.1:9596", "lb.example:9596"),
			[]string{`2: api.listen: want an address and a port, such as 192.0.2.1:9596 or "[::]:9596", got "lb.example:9596"`}},
		{"no port", "services:", with("192.0.2.1:9596", "192.0.2.1:0"),
			[]string{`2: api.listen: want an address and a port, such as 192.0.2.1:9596 or "[::]:9596", got "192.0.2.1:0"`}},
		{"no key", "services:", with("key: /k, ", ""), []string{"2: api.tls.key: missing"}},
		{"a file somewhere", "services:", with("/ca", "ca.pem"),
			[]string{`2: api.tls.client_ca: want a file's whole path, such as /etc/ebbtide/api.pem, got "ca.pem"`}},
		{"no authority", "services:", with("client_ca: /ca, crl: /crl", ""), []string{"2: api.roles[0].certificate: no certificates are taken without tls.client_ca"}},
		{"what nobody signed is taken back", "services:", with("client_ca: /ca, ", ""), []string{
			"2: api.tls: crl: it takes back certificates of client_ca, which is missing",
			"2: api.roles[0].certificate: no certificates are taken without tls.client_ca"}},
		{"no tokens", "services:", with("tokens: /t, ", ""), []string{"2: api.roles[1].token: no tokens are taken without a tokens file"}},
		{"nobody's role", "services:", with("certificate: alice, ", ""), []string{"2: api.roles[0]: want one of certificate and token: whose role it is"}},
		{"no role", "services:", with(", role: admin", ""), []string{"2: api.roles[0].role: missing"}},
		{"another role", "services:", with("admin", "root"), []string{`2: api.roles[0].role: want viewer or operator or admin, got "root"`}},
		{"a name with a line's end", "services:", with("alice", `"a\nb"`), []string{`2: api.roles[0].certificate: want 1 to 64 printable bytes, got "a\nb"`}},
		{"no such service", "services:", with("[world]", "[word]"), []string{`2: api.roles[1].services[0]: there is no service "word"`}},
		{"no service", "services:", with("[world]", "[]"), []string{"2: api.roles[1].services: empty list"}},
		{"two roles", "services:", with("{token: ci", "{certificate: alice, role: viewer}, {token: ci"),
			[]string{"2: api.roles[1]: it is already api.roles[0] on line 2"}},
	})
}

func TestARoleMayWhatTheOnesBeforeItMay(t *testing.T) {
	order := []Role{Viewer, Operator, Admin}
	for has, role := range order {
		for need, needed := range order {
			if role.May(needed) != (has >= need) {
				t.Errorf("%s where %s is needed: %v", role, needed, role.May(needed))
			}
		}
		if role.May("") || Role("").May(role) || role.May("root") {
			t.Errorf("%s: a role that is none is enough, or is needed by nothing", role)
		}
	}
}
