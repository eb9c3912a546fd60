package state

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// Whatever field differs, of whatever is in a state: a state that differs in it is another one. A field that is new, or is
// not written, is found here.
func TestAStateThatDiffersInAnyFieldIsAnother(t *testing.T) {
	var full State
	fill(reflect.ValueOf(&full).Elem())
	if !full.Same(copied(t, full)) {
		t.Fatal("a state is another than itself, written and read")
	}
	next := full
	if next.Revision++; !next.Same(full) {
		t.Error("a revision alone makes another state")
	}
	changed := 0
	for path := range paths(reflect.TypeFor[State](), "State") {
		if path == "State.Revision" {
			continue
		}
		other := copied(t, full)
		if !change(reflect.ValueOf(&other).Elem(), "State", path) {
			t.Errorf("%s was not found in a state that has everything", path)
			continue
		}
		changed++
		if other.Same(full) {
			t.Errorf("a change of %s is not seen", path)
		}
	}
	if changed < 60 {
		t.Errorf("only %d fields were changed", changed)
	}
}

func copied(t *testing.T, s State) (out State) {
	t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	moment = reflect.TypeFor[time.Time]()
	raw    = reflect.TypeFor[json.RawMessage]()
)

// whole says whether a type is compared as one thing.
func whole(t reflect.Type) bool {
	if t == moment || t == raw {
		return true
	}
	switch t.Kind() {
	case reflect.Struct:
		return !exported(t)
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return false
	}
	return true
}

// exported says whether all fields of a struct are; the others' types know how they are written.
func exported(t reflect.Type) bool {
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			return false
		}
	}
	return true
}

// paths are all that is in a type, by the way that leads there.
func paths(t reflect.Type, at string) map[string]bool {
	out := map[string]bool{}
	switch {
	case whole(t):
		out[at] = true
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			for p := range paths(t.Field(i).Type, at+"."+t.Field(i).Name) {
				out[p] = true
			}
		}
	default:
		return paths(t.Elem(), at+"[]")
	}
	return out
}

// fill puts something into everything: one element into each slice and map.
func fill(v reflect.Value) {
	switch {
	case whole(v.Type()):
		set(v, 1)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	default:
		v.Set(reflect.MakeMap(v.Type()))
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		set(key, 1)
		fill(elem)
		v.SetMapIndex(key, elem)
	}
}

// change gives what is at a path another value, and says whether that is there.
func change(v reflect.Value, at, path string) bool {
	switch {
	case whole(v.Type()):
		if at != path {
			return false
		}
		set(v, 2)
		return true
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if change(v.Field(i), at+"."+v.Type().Field(i).Name, path) {
				return true
			}
		}
		return false
	case v.IsZero():
		return false
	case v.Kind() == reflect.Pointer:
		return change(v.Elem(), at+"[]", path)
	case v.Kind() == reflect.Slice:
		return v.Len() > 0 && change(v.Index(0), at+"[]", path)
	}
	key := v.MapKeys()[0]
	elem := reflect.New(v.Type().Elem()).Elem()
	elem.Set(v.MapIndex(key))
	if !change(elem, at+"[]", path) {
		return false
	}
	v.SetMapIndex(key, elem)
	return true
}

// set gives a value that is another for another n, and never the zero one.
func set(v reflect.Value, n int) {
	text := fmt.Sprintf("10.0.0.%d/32", n)
	switch {
	case v.Type() == moment:
		v.Set(reflect.ValueOf(time.Unix(int64(n), 0).UTC()))
	case v.Type() == raw:
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprint(n))))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		v.SetBool(n == 1)
	case v.CanInt():
		v.SetInt(int64(n))
	case v.CanUint():
		v.SetUint(uint64(n))
	case v.CanFloat():
		v.SetFloat(float64(n))
	default:
		// A prefix, and whatever else is written as text.
		if err := v.Addr().Interface().(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte(text)); err != nil {
			panic(err)
		}
	}
}
