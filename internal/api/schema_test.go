package api

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// schemas are those of the Go types that the verbs have, as encoding/json writes them.
type schemas struct {
	tb       testing.TB
	named    obj
	types    map[string]reflect.Type // of the named ones
	requests map[reflect.Type]bool   // in which nothing unknown may be
	sources  sources
}

func newSchemas(tb testing.TB) *schemas {
	return &schemas{tb: tb, named: obj{}, types: map[string]reflect.Type{}, requests: map[reflect.Type]bool{}, sources: sources{}}
}

// of is the schema of a type; with null it may be absent as null.
func (s *schemas) of(t reflect.Type, null bool) obj {
	schema := s.bare(t)
	switch kind, plain := schema["type"].(string); {
	case !null:
	case plain && schema["enum"] == nil:
		schema["type"] = []string{kind, "null"}
	case plain || schema["$ref"] != nil:
		schema = obj{"anyOf": []obj{schema, {"type": "null"}}}
	}
	return schema
}

func (s *schemas) bare(t reflect.Type) obj {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return obj{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return obj{}
	case t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return obj{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), true)
	case reflect.Struct:
		return s.object(t)
	case reflect.Map:
		return obj{"type": "object", "additionalProperties": s.of(t.Elem(), false)}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return obj{"type": "string", "contentEncoding": "base64"}
		}
		return obj{"type": "array", "items": s.of(t.Elem(), false)}
	case reflect.String:
		return s.text(t)
	case reflect.Bool:
		return obj{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return obj{"type": "number"}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return unsigned(t.Bits())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		return obj{"type": "integer"}
	}
	s.tb.Fatalf("no schema for %s", t)
	return nil
}

// unsigned bounds what has fewer bits than a JSON number keeps whole.
func unsigned(bits int) obj {
	out := obj{"type": "integer", "minimum": 0}
	if bits <= 32 {
		out["maximum"] = uint64(1)<<bits - 1
	}
	return out
}

// text is a string, with what it may be where the type has constants.
func (s *schemas) text(t reflect.Type) obj {
	out := obj{"type": "string"}
	if t.PkgPath() != "" {
		if values := s.sources.of(s.tb, t.PkgPath()).enums[t.Name()]; len(values) > 0 {
			out["enum"] = values
		}
	}
	return out
}

// object names a struct, once.
func (s *schemas) object(t reflect.Type) obj {
	name := t.Name()
	if name == "" {
		return s.fields(t)
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	switch had := s.types[name]; had {
	case t:
		return ref(name)
	case nil:
	default: // such as config.Hook and hook.Hook
		pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
		if s.types[name] == t {
			return ref(name)
		}
	}
	s.types[name] = t
	schema := s.fields(t)
	if doc := s.sources.of(s.tb, t.PkgPath()).types[t.Name()]; doc != "" {
		schema["description"] = doc
	}
	s.named[name] = schema
	return ref(name)
}

func (s *schemas) fields(t reflect.Type) obj {
	properties, required := obj{}, []string{}
	s.collect(t, properties, &required)
	out := obj{"type": "object", "properties": properties}
	if s.requests[t] {
		out["additionalProperties"] = false
	}
	if len(required) > 0 && !s.requests[t] { // what a request must have, its verb says
		out["required"] = required
	}
	return out
}

func (s *schemas) collect(t reflect.Type, properties obj, required *[]string) {
	for _, f := range reflect.VisibleFields(t) {
		if len(f.Index) > 1 || !f.IsExported() && !f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			s.collect(f.Type, properties, required)
			continue
		}
		if name == "-" {
			continue
		}
		if name == "" {
			s.tb.Fatalf("%s.%s has no name in JSON", t, f.Name)
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if !optional {
			*required = append(*required, name)
		}
		of, null := f.Type, f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map || f.Type.Kind() == reflect.Pointer
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		schema := s.of(of, null && !optional)
		if doc := s.sources.of(s.tb, t.PkgPath()).fields[t.Name()+"."+f.Name]; doc != "" {
			schema["description"] = doc
		}
		properties[name] = schema
	}
}

// mustDoc is what the source says of a type.
func (s *schemas) mustDoc(t reflect.Type) string {
	doc := s.sources.of(s.tb, t.PkgPath()).types[t.Name()]
	if doc == "" {
		s.tb.Fatalf("%s has no doc comment to describe its verb with", t)
	}
	return doc
}
