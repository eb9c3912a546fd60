package bundle

import (
	"strings"
	"testing"
)

func TestSecretsAreTakenOutOfText(t *testing.T) {
	s := NewSecrets([]string{"hunter2hunter2", "--pass=hunter2hunter2", "short"})
	for text, want := range map[string]string{
		"run /bin/x --pass=hunter2hunter2 now":                   "run /bin/x [removed] now",
		"it said hunter2hunter2.":                                "it said [removed].",
		"in short: no":                                           "in short: no",
		`Post "https://ops.example/may?key=abc&x=1": refused`:    `Post "https://ops.example/may?[removed]": refused`,
		`{"url":"http://bob:pw12345@ops.example/a"}`:             `{"url":"http://[removed]@ops.example/a"}`,
		"Authorization: Bearer eyJhbGciOi.abc":                   "Authorization: Bearer [removed]",
		`{"token": "abcdef123456", "service": "world"}`:          `{"token": "[removed]", "service": "world"}`,
		"http://127.0.0.1:9090/api stays, as does a token of it": "http://127.0.0.1:9090/api stays, as does a token of it",
	} {
		if got := s.Text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestAConfigurationKeepsItsShapeAndLosesItsSecrets(t *testing.T) {
	got := NewSecrets(nil).Configuration([]byte(`# the password is topsecret1
interfaces: [eth0]
services:
  world:
    release:
      hooks:
        notice:
          - {exec: [/usr/local/bin/notice, --token, topsecret2], timeout: 10s} # topsecret3
          - webhook: {url: "https://ops.example/n?key=topsecret4", secret_file: /etc/ebbtide/secret}
    later: {api_key: topsecret5}
`))
	if strings.Contains(got, "topsecret") {
		t.Errorf("a secret is left:\n%s", got)
	}
	for _, want := range []string{"eth0", "/usr/local/bin/notice", "timeout: 10s", "https://ops.example/n?[removed]", "secret_file: /etc/ebbtide/secret"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is gone:\n%s", want, got)
		}
	}
	if got := NewSecrets(nil).Configuration([]byte("a: [topsecret6")); strings.Contains(got, "topsecret") {
		t.Errorf("of a broken file: %s", got)
	}
}
