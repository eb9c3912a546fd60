package config

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// Hook is what is run, or told, at a transition of a release: a program or a webhook.
type Hook struct {
	Exec    []string // argv, its first is a path; nil: a webhook
	User    string   // whom the program runs as; empty: the daemon's user
	Webhook Webhook
	Timeout time.Duration // of each attempt
	Retries int           // attempts after the first one
}

// Webhook is where a hook is posted to.
type Webhook struct {
	URL        string
	SecretFile string // empty: it is not signed
}

// String names a hook for people: no arguments and no query, for these may hold what nobody else is to see.
func (h Hook) String() string {
	if len(h.Exec) > 0 {
		return h.Exec[0]
	}
	u, err := url.Parse(h.Webhook.URL)
	if err != nil {
		return "webhook"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// What holds for a hook that does not say it, and the most that it may say.
const (
	defaultHookTimeout = 30 * time.Second
	maxHookTimeout     = 6 * time.Hour
	defaultHookRetries = 3
	maxHookRetries     = 100
	maxHooks           = 16
	maxArgs            = 256
)

// HookNames are the transitions that may have hooks, in the order of a release; backup and clone are steps of promote, and
// update is that of backends which a rolling or in-place release changes.
func HookNames() []string {
	return []string{
		"stage", "verify", "flip", "bake", "drain", "notice", "migrate", "update", "retire", "promote", "backup", "clone",
		"pause", "resume", "abort", "rollback",
	}
}

// hooks reads the hooks of a release, by the transition's name.
func (v value) hooks() map[string][]Hook {
	fields, ok := v.mapping(HookNames()...)
	if !ok {
		return nil
	}
	out := make(map[string][]Hook, len(fields.entries))
	for _, name := range HookNames() {
		at, ok := fields.get(name)
		if !ok {
			continue
		}
		items, ok := at.list()
		if !ok {
			continue
		}
		if len(items) > maxHooks {
			at.fail("%d hooks are more than %d", len(items), maxHooks)
			continue
		}
		for _, item := range items {
			out[name] = append(out[name], item.hook())
		}
	}
	return out
}

func (v value) hook() Hook {
	h := Hook{Timeout: defaultHookTimeout, Retries: defaultHookRetries}
	fields, ok := v.mapping("exec", "webhook", "timeout", "retries", "user")
	if !ok {
		return h
	}
	argv, isExec := fields.get("exec")
	hook, isWebhook := fields.get("webhook")
	switch {
	case isExec == isWebhook:
		v.fail("want either exec or webhook")
	case isExec:
		h.Exec = argv.argv()
	default:
		h.Webhook = hook.webhook()
	}
	if v, ok := fields.get("user"); ok {
		h.User = v.hookUser(isExec)
	}
	if v, ok := fields.get("timeout"); ok {
		h.Timeout = v.hookTimeout()
	}
	if v, ok := fields.get("retries"); ok {
		n, _ := v.number(0, maxHookRetries)
		h.Retries = int(n)
	}
	return h
}

// argv reads a program and its arguments. No shell and no search path stand between.
func (v value) argv() []string {
	items, ok := v.list()
	if !ok {
		return nil
	}
	if len(items) > maxArgs {
		v.fail("%d arguments are more than %d", len(items), maxArgs)
		return nil
	}
	argv := make([]string, len(items))
	for i, item := range items {
		argv[i], ok = item.text()
		switch {
		case !ok:
		case strings.ContainsRune(argv[i], 0):
			item.fail("a NUL byte ends an argument")
		case i == 0 && !path.IsAbs(argv[i]):
			item.fail("want a program's whole path, such as /usr/local/bin/notice, got %s", quote(argv[i]))
		}
	}
	return argv
}

func (v value) hookUser(isExec bool) string {
	name, ok := v.text()
	switch {
	case !ok:
	case !isExec:
		v.fail("a webhook has no user: the daemon calls it")
	case name == "":
		v.fail("empty name")
	}
	return name
}

func (v value) hookTimeout() time.Duration {
	d, ok := v.duration()
	if ok && (d < time.Second || d > maxHookTimeout) {
		v.fail("want 1s to %s, got %s", short(maxHookTimeout), short(d))
	}
	return d
}

func (v value) webhook() (w Webhook) {
	fields, ok := v.mapping("url", "secret_file")
	if !ok {
		return w
	}
	if v, ok := fields.need("url"); ok {
		w.URL = v.webURL()
	}
	if v, ok := fields.get("secret_file"); ok {
		if w.SecretFile, ok = v.text(); ok && !path.IsAbs(w.SecretFile) {
			v.fail("want a file's whole path, such as /etc/ebbtide/secret, got %s", quote(w.SecretFile))
		}
	}
	return w
}

// webURL reads an address of HTTP. A password in it is refused: it would stand in a file that all may read.
func (v value) webURL() string {
	text, ok := v.text()
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "":
		v.fail("want an address such as https://ops.example/ebbtide, got %s", quote(text))
	case u.User != nil:
		v.fail("a name or password in the address: sign with a secret_file")
	case u.Fragment != "":
		v.fail("the part after # is never sent")
	}
	return text
}
