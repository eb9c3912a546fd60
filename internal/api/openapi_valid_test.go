package api

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

func mustLoadDescription(tb testing.TB) *openapi3.T {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(Description)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

func TestOpenAPIIsValid(t *testing.T) {
	if err := mustLoadDescription(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// What the server takes and gives is what the document says, for each verb: with every field at its zero, and with every
// field there.
func TestOpenAPIAgreesWithWhatIsSent(t *testing.T) {
	doc := mustLoadDescription(t)
	verbs(new(Client), func(pattern string, _ int64, e endpoint) {
		t.Run(pattern, func(t *testing.T) {
			method, path, op := "", "", (*openapi3.Operation)(nil)
			for p, item := range doc.Paths.Map() {
				for m, o := range item.Operations() {
					if m+" "+p == pattern {
						method, path, op = m, p, o
					}
				}
			}
			if op == nil {
				t.Fatalf("%s %s is not in the document", method, path)
			}
			if op.RequestBody != nil {
				mustAgree(t, op.RequestBody.Value.Content[oneDocument].Schema, e.request)
			}
			if content := op.Responses.Status(200).Value.Content[e.media]; e.answer != nil && e.media != eventStream {
				mustAgree(t, content.Schema, e.answer)
			}
		})
	})
	for name, of := range map[string]reflect.Type{"Error": reflect.TypeFor[Error](), "DrainProgress": reflect.TypeFor[DrainProgress]()} {
		mustAgree(t, doc.Components.Schemas[name], of)
	}
}

func TestOpenAPIRefusesWhatTheServerRefuses(t *testing.T) {
	flip := mustLoadDescription(t).Components.Schemas["FlipRequest"].Value
	for _, body := range []string{`{"service":7}`, `{"service":"world","too":"green"}`, `[]`} {
		if mustVisit(t, flip, []byte(body)) == nil {
			t.Errorf("%s agrees with the schema", body)
		}
	}
}

func mustAgree(t *testing.T, schema *openapi3.SchemaRef, of reflect.Type) {
	t.Helper()
	empty, full := reflect.New(of).Elem(), reflect.New(of).Elem()
	f := filler{t, sources{}, false}
	f.fill(empty, 0)
	f.all = true
	f.fill(full, 0)
	for _, v := range []reflect.Value{empty, full} {
		text, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if err := mustVisit(t, schema.Value, text); err != nil {
			t.Errorf("%s does not agree with the schema of %s: %v", text, of, err)
		}
	}
}

func mustVisit(tb testing.TB, schema *openapi3.Schema, text []byte) error {
	tb.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	return schema.VisitJSON(v, openapi3.EnableJSONSchema2020())
}

// filler gives every field something that is not its zero; without all, only those that may not be zero.
type filler struct {
	tb      testing.TB
	sources sources
	all     bool
}

func (f filler) fill(v reflect.Value, deep int) {
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i), deep)
			}
		}
		return
	}
	if values := f.sources.of(f.tb, v.Type().PkgPath()).enums[v.Type().Name()]; v.Kind() == reflect.String && len(values) > 0 {
		v.SetString(values[0])
		return
	}
	if f.all {
		f.set(v, deep)
	}
}

func (f filler) set(v reflect.Value, deep int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 5, 4, 16, 5, 0, 0, time.UTC)))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"live":1}`))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if deep < 5 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), deep+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), deep)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		elem := reflect.New(v.Type().Elem()).Elem()
		f.fill(elem, deep)
		v.SetMapIndex(reflect.ValueOf("a").Convert(v.Type().Key()), elem)
	case reflect.String:
		v.SetString("world")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(200)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(-7)
	default:
		f.tb.Fatalf("nothing to fill a %s with", v.Type())
	}
}
