package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// obj is a JSON object; its keys are written in order.
type obj = map[string]any

func TestOpenAPIIsCurrent(t *testing.T) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(mustDescribe(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		Description = text.Bytes()
	}
	if !bytes.Equal(Description, text.Bytes()) {
		t.Error("openapi.json is not what the verbs and their types are; write it anew: go test ./internal/api -run OpenAPI -update")
	}
}

// mustDescribe writes the document from the verbs, their types, and what the sources say of those.
func mustDescribe(tb testing.TB) obj {
	tb.Helper()
	s := newSchemas(tb)
	paths := obj{}
	verbs(new(Client), func(pattern string, _ int64, e endpoint) {
		method, path, _ := strings.Cut(pattern, " ")
		paths[path] = obj{strings.ToLower(method): s.operation(path, e)}
	})
	s.of(reflect.TypeFor[Error](), false)
	return obj{
		"openapi": "3.1.0",
		"info": obj{
			"title":   "ebbtide",
			"version": "1",
			"description": "HTTP and JSON over the daemon's unix socket, and over TLS 1.3 where the configuration says so: there each path takes a role, x-ebbtide-role. A request without a body is one with every field left out; unknown " +
				"fields are refused. Times are of RFC 3339.",
		},
		"servers": []obj{
			{"url": "http://ebbtide", "description": "The host is of no account: the socket is the daemon's."},
			{"url": "https://{host}:{port}", "description": "Where the configuration's api says.", "variables": obj{"host": obj{"default": "localhost"}, "port": obj{"default": "9596"}}},
		},
		"paths":    paths,
		"security": []obj{{}, {"certificate": []string{}}, {"token": []string{}}},
		"components": obj{"schemas": s.named, "securitySchemes": obj{
			"certificate": obj{"type": "mutualTLS", "description": "Its subject's common name has a role in the configuration. The socket takes none."},
			"token":       obj{"type": "http", "scheme": "bearer", "description": "Made by ebbtide token; its name has a role in the configuration. The socket takes none."},
		}},
	}
}

func (s *schemas) operation(path string, e endpoint) obj {
	verb := strings.TrimPrefix(path, "/v1/")
	op := obj{
		"operationId": strings.TrimSuffix(verb, ".json"),
		"responses": obj{
			"200":     obj{"description": s.answers(e), "content": s.content(e)},
			"default": obj{"description": "It was not done, or not to its end.", "content": obj{oneDocument: obj{"schema": ref("Error")}}},
		},
	}
	if role, ok := roleFor[path]; ok {
		op["x-ebbtide-role"] = role // over the network
	}
	switch {
	case e.media == eventStream:
		op["description"] = s.mustDoc(reflect.TypeFor[EventsRequest]())
		op["parameters"] = []obj{
			parameter("query", queryService, "Only events of this service.", obj{"type": "string"}),
			parameter("query", queryAfter, "Number of the journal event after which to begin; without it, what comes from now on.", unsigned(64)),
			parameter("query", queryOnce, "End when all that there is has been sent.", obj{"type": "boolean"}),
			parameter("header", lastEventID, "As after, and goes before it.", unsigned(64)),
		}
	case e.request == nil:
		op["description"] = "This document."
	case e.request == reflect.TypeFor[nothing]():
		op["description"] = s.mustDoc(e.answer)
	default:
		op["description"] = s.mustDoc(e.request)
		s.requests[e.request] = true
		if _, acts := reflect.New(e.request).Interface().(acting); acts {
			op["parameters"] = []obj{parameter("header", keyHeader, "As key in the body.", obj{"type": "string"})}
		}
		op["requestBody"] = obj{"content": obj{oneDocument: obj{"schema": s.of(e.request, false)}}}
	}
	op["summary"], _, _ = strings.Cut(op["description"].(string), ". ")
	return op
}

func (s *schemas) answers(e endpoint) string {
	switch e.media {
	case documentLines:
		return "A document of this schema a line. A line that is an Error is the last."
	case eventStream:
		return "Server-sent events. Those of type journal are of the schema Event, with their number as id; those of type drain are of the schema " +
			"DrainProgress; one of type error is an Error, and the last. A reader who takes nothing for five seconds is dropped, and comes back with Last-Event-ID."
	}
	return "It was done."
}

func (s *schemas) content(e endpoint) obj {
	schema := obj{"type": "object"}
	switch {
	case e.media == eventStream:
		for _, f := range reflect.VisibleFields(e.answer) {
			s.of(f.Type, false)
		}
		schema = obj{"type": "string"}
	case e.answer != nil && e.answer != reflect.TypeFor[nothing]():
		schema = s.of(e.answer, false)
	}
	return obj{e.media: obj{"schema": schema}}
}

func parameter(in, name, description string, schema obj) obj {
	return obj{"in": in, "name": name, "description": description, "schema": schema}
}

func ref(name string) obj { return obj{"$ref": "#/components/schemas/" + name} }
