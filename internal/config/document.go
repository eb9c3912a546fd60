package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxErrors ends the work on a file that is wrong all over, or made to be.
const maxErrors = 1000

// decoder collects what is wrong with one file while it is read.
type decoder struct {
	file      string
	errs      Errors
	lines     map[string]int // of the fields that Config.Mistake may be asked for
	listeners int            // read so far
	outer     OuterSource
	noOuter   bool // it could not be read
}

func (d *decoder) fail(line int, field, format string, args ...any) {
	if !d.full() {
		d.errs = append(d.errs, &Error{d.file, line, field, fmt.Sprintf(format, args...)})
	}
}

// full says that enough mistakes are known.
func (d *decoder) full() bool { return len(d.errs) >= maxErrors }

// document gives the root of the file's only YAML document.
func (d *decoder) document(data []byte) (value, bool) {
	if len(data) > maxFileSize {
		d.fail(0, "", "larger than %d bytes", maxFileSize)
		return value{}, false
	}
	if at := invalidUTF8(data); at >= 0 {
		d.fail(1+bytes.Count(data[:at], []byte("\n")), "", "not YAML: the byte 0x%02x is not UTF-8", data[at])
		return value{}, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.syntax(err)
		return value{}, false
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		d.fail(0, "", "empty: interfaces and services are missing")
		return value{}, false
	case err != nil:
		d.syntax(err)
		return value{}, false
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.fail(second.Line, "", "a second YAML document: one file is one configuration")
		return value{}, false
	case !errors.Is(err, io.EOF):
		d.syntax(err)
		return value{}, false
	}
	if len(first.Content) != 1 {
		d.fail(0, "", "empty: interfaces and services are missing")
		return value{}, false
	}
	root := first.Content[0]
	return value{d: d, node: root, line: root.Line}, true
}

func (d *decoder) syntax(err error) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		d.fail(0, "", "not YAML: %v", err)
		return
	}
	reason := le.Message
	if le.ContextMsg != "" {
		reason += " " + le.ContextMsg
		if le.ContextMark.Line > 0 {
			reason += fmt.Sprintf(" that began on line %d", le.ContextMark.Line)
		}
	}
	d.fail(le.Mark.Line, "", "not YAML: %s", reason)
}

// invalidUTF8 gives where data stops being UTF-8, or -1.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}
