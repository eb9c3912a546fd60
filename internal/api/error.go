package api

import (
	"errors"
	"fmt"
	"net/http"
)

// Code says what kind of error it is, for those who branch.
type Code string

// The codes.
const (
	Refused     Code = "refused"     // the state of things forbids it
	Usage       Code = "usage"       // the request makes no sense
	NotFound    Code = "not_found"   // it names what does not exist
	Failed      Code = "failed"      // it was tried
	Unavailable Code = "unavailable" // the daemon is starting, importing or stopping

	// Over the network only.
	Unauthenticated Code = "unauthenticated" // whoever asks has not proved who he is
	Forbidden       Code = "forbidden"       // his role, or his services, don't let him
	TooMany         Code = "too_many"        // requests: ask again later
)

// Error is what a verb ends with when it does not succeed.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"error"`
}

// Errorf makes an [*Error]. It doesn't wrap: an Error goes over the wire.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }

// asError is the one place where an error becomes one for the wire.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{e.Code, err.Error()}
	}
	return &Error{Failed, err.Error()}
}

// status is the one place where a code becomes one of HTTP.
func (c Code) status() int {
	switch c {
	case Refused:
		return http.StatusConflict
	case Usage:
		return http.StatusBadRequest
	case NotFound:
		return http.StatusNotFound
	case Unavailable:
		return http.StatusServiceUnavailable
	case Unauthenticated:
		return http.StatusUnauthorized
	case Forbidden:
		return http.StatusForbidden
	case TooMany:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}
