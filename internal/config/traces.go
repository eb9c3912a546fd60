package config

import (
	"net/url"
	"slices"
)

// Traces says where spans of releases go.
type Traces struct {
	OTLP string // address of a collector, by OTLP over HTTP; empty: nowhere
}

func (v value) traces() (t Traces) {
	fields, ok := v.mapping("otlp")
	if !ok {
		return t
	}
	if v, ok := fields.need("otlp"); ok {
		t.OTLP = v.collector()
	}
	return t
}

// collector reads an address as a whole: nothing is put behind it.
func (v value) collector() string {
	text, ok := v.text()
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "" || u.Path == "" || u.Path == "/":
		v.fail("want a whole address such as http://127.0.0.1:4318/v1/traces, got %s", quote(text))
	case u.User != nil || u.RawQuery != "":
		v.fail("a name, a password or a query in the address: put a collector on this host that knows them")
	case u.Fragment != "":
		v.fail("the part after # is never sent")
	}
	return text
}
