package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// readHooks reads hooks alone, as they stand in a release.
func readHooks(text string) (map[string][]Hook, Errors) {
	d := &decoder{file: "f", lines: map[string]int{}}
	v, ok := d.document([]byte(text))
	if !ok {
		return nil, d.sorted()
	}
	return v.hooks(), d.sorted()
}

func TestHooksAreReadByTheirTransition(t *testing.T) {
	got, errs := readHooks(`
flip: [{exec: [/usr/local/bin/announce, -v, 1.10], timeout: 5s, retries: 0, user: nobody}]
notice:
  - webhook: {url: "https://ops.example/ebbtide?room=7", secret_file: /etc/ebbtide/secret}
  - exec: [/usr/local/bin/say]
`)
	want := map[string][]Hook{
		"flip": {{Exec: []string{"/usr/local/bin/announce", "-v", "1.10"}, Timeout: 5 * time.Second, User: "nobody"}},
		"notice": {
			{Webhook: Webhook{"https://ops.example/ebbtide?room=7", "/etc/ebbtide/secret"}, Timeout: 30 * time.Second, Retries: 3},
			{Exec: []string{"/usr/local/bin/say"}, Timeout: 30 * time.Second, Retries: 3},
		},
	}
	if len(errs) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, errs)
	}
	for i, name := range []string{"https://ops.example/ebbtide", "/usr/local/bin/say"} {
		if shown := got["notice"][i].String(); shown != name {
			t.Errorf("a hook is shown as %s, want %s", shown, name)
		}
	}
}

func TestMistakesOfHooksAreNamed(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"no transition", "flop: [{exec: [/x]}]", "f:1: flop: unknown key: did you mean flip?"},
		{"no list", "flip: {exec: [/x]}", "f:1: flip: want a list, got a map"},
		{"neither", "flip: [{timeout: 5s}]", "f:1: flip[0]: want either exec or webhook"},
		{"both", `flip: [{exec: [/x], webhook: {url: "http://h"}}]`, "f:1: flip[0]: want either exec or webhook"},
		{"an unknown key", "flip: [{exec: [/x], shell: true}]", "f:1: flip[0].shell: unknown key: the keys here are exec, webhook, timeout, retries, user"},
		{"no argument", "flip: [{exec: []}]", "f:1: flip[0].exec: empty list"},
		{"a shell's line", "flip: [{exec: reboot now}]", `f:1: flip[0].exec: want a list, got "reboot now"`},
		{"a search path", "flip: [{exec: [say, /x]}]", `f:1: flip[0].exec[0]: want a program's whole path, such as /usr/local/bin/notice, got "say"`},
		{"a NUL byte", `flip: [{exec: [/x, "a\0b"]}]`, "f:1: flip[0].exec[1]: a NUL byte ends an argument"},
		{"many hooks", "flip: [" + strings.Repeat("{exec: [/x]}, ", 17) + "]", "f:1: flip: 17 hooks are more than 16"},
		{"many arguments", "flip: [{exec: [" + strings.Repeat("/x, ", 257) + "]}]", "f:1: flip[0].exec: 257 arguments are more than 256"},
		{"no time", "flip: [{exec: [/x], timeout: 0s}]", "f:1: flip[0].timeout: want 1s to 6h, got 0s"},
		{"a day", "flip: [{exec: [/x], timeout: 24h}]", "f:1: flip[0].timeout: want 1s to 6h, got 24h"},
		{"many retries", "flip: [{exec: [/x], retries: 101}]", "f:1: flip[0].retries: want 0 to 100, got 101"},
		{"nobody", `flip: [{exec: [/x], user: ""}]`, "f:1: flip[0].user: empty name"},
		{"a webhook's user", `flip: [{webhook: {url: "http://h"}, user: nobody}]`, "f:1: flip[0].user: a webhook has no user: the daemon calls it"},
		{"no address", "flip: [{webhook: {}}]", "f:1: flip[0].webhook.url: missing"},
		{"no HTTP", `flip: [{webhook: {url: "file:///etc/passwd"}}]`,
			`f:1: flip[0].webhook.url: want an address such as https://ops.example/ebbtide, got "file:///etc/passwd"`},
		{"no host", `flip: [{webhook: {url: "http://:80/"}}]`, `f:1: flip[0].webhook.url: want an address such as https://ops.example/ebbtide, got "http://:80/"`},
		{"a password", `flip: [{webhook: {url: "http://ops:pw@h"}}]`, "f:1: flip[0].webhook.url: a name or password in the address: sign with a secret_file"},
		{"a fragment", `flip: [{webhook: {url: "http://h/#top"}}]`, "f:1: flip[0].webhook.url: the part after # is never sent"},
		{"a secret somewhere", `flip: [{webhook: {url: "http://h", secret_file: secret}}]`,
			`f:1: flip[0].webhook.secret_file: want a file's whole path, such as /etc/ebbtide/secret, got "secret"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, errs := readHooks(row.text); errs.Error() != row.want {
				t.Errorf("got\n%s\nwant\n%s", errs, row.want)
			}
		})
	}
}
