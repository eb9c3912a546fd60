// Package otlp sends spans to a collector by OpenTelemetry's protocol over HTTP. It has no more than releases need: the client
// library would bring gRPC along.
package otlp

import (
	"crypto/sha256"
	"strings"
	"time"
)

// Trace and SpanID name a trace and a span in it. They follow from what they are of, so that a daemon that starts again goes
// on with the trace that another began.
type (
	Trace  [16]byte
	SpanID [8]byte
)

// TraceOf names the trace of what these words name.
func TraceOf(words ...string) (t Trace) {
	copy(t[:], digest(words))
	return t
}

// Span names a span of the trace.
func (t Trace) Span(words ...string) (id SpanID) {
	copy(id[:], digest(append([]string{string(t[:])}, words...)))
	return id
}

// digest tells words apart, however they are put together.
func digest(words []string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return sum[:]
}

// Span is something that took time.
type Span struct {
	Trace      Trace
	ID, Parent SpanID // Parent is zero for the first of its trace
	Name       string
	Start, End time.Time
	Attributes []Attribute
	Failed     string // why; empty: it did not fail
}

// Attribute is a name and a value: a string, an int64, a float64 or a bool.
type Attribute struct {
	Name  string
	Value any
}
