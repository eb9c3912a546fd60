package otlp

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields in opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
const (
	requestSpans = 1 // of ExportTraceServiceRequest: ResourceSpans

	resourceSpansResource, resourceSpansScopes = 1, 2
	resourceAttributes                         = 1
	scopeSpansScope, scopeSpansSpans           = 1, 2
	scopeName                                  = 1

	spanTrace, spanID, spanParent, spanName, spanKind, spanStart, spanEnd, spanAttributes, spanStatus = 1, 2, 4, 5, 6, 7, 8, 9, 15

	statusMessage, statusCode = 2, 3
	keyValueKey, keyValueIs   = 1, 2

	valueString, valueBool, valueInt, valueDouble = 1, 2, 3, 4
)

const (
	kindInternal = 1
	codeError    = 2
)

// request is an ExportTraceServiceRequest.
func request(resource []Attribute, spans []Span) []byte {
	var of, scope []byte
	for _, a := range resource {
		of = message(of, resourceAttributes, attribute(a))
	}
	scope = message(scope, scopeSpansScope, text(nil, scopeName, "ebbtide"))
	for _, s := range spans {
		scope = message(scope, scopeSpansSpans, span(s))
	}
	return message(nil, requestSpans, message(message(nil, resourceSpansResource, of), resourceSpansScopes, scope))
}

func span(s Span) []byte {
	b := message(nil, spanTrace, s.Trace[:])
	b = message(b, spanID, s.ID[:])
	if s.Parent != (SpanID{}) {
		b = message(b, spanParent, s.Parent[:])
	}
	b = number(text(b, spanName, s.Name), spanKind, kindInternal)
	b = moment(moment(b, spanStart, s.Start), spanEnd, s.End)
	for _, a := range s.Attributes {
		b = message(b, spanAttributes, attribute(a))
	}
	if s.Failed != "" {
		b = message(b, spanStatus, number(text(nil, statusMessage, s.Failed), statusCode, codeError))
	}
	return b
}

func attribute(a Attribute) []byte {
	var v []byte
	switch value := a.Value.(type) {
	case string:
		v = text(nil, valueString, value)
	case bool:
		v = number(nil, valueBool, protowire.EncodeBool(value))
	case int64:
		v = number(nil, valueInt, uint64(value))
	case float64:
		v = protowire.AppendFixed64(protowire.AppendTag(nil, valueDouble, protowire.Fixed64Type), math.Float64bits(value))
	default:
		v = text(nil, valueString, fmt.Sprint(value))
	}
	return message(text(nil, keyValueKey, a.Name), keyValueIs, v)
}

func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func number(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

// moment is nanoseconds since 1970, in a fixed width.
func moment(b []byte, field protowire.Number, t time.Time) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return binary.LittleEndian.AppendUint64(b, uint64(t.UnixNano()))
}
