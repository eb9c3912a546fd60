package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// keyHeader is where HTTP clients are used to put a key.
const keyHeader = "Idempotency-Key"

// Keyed is a request for a change that has a key. Digest is of all that it asks for.
type Keyed struct {
	Key    string
	Verb   string
	Digest string
}

// Keeper remembers what requests with a key were answered. A [Controller] that is one does none twice.
type Keeper interface {
	// Once does what a key asks for, or gives the answer that it got when it was done. What was refused before anything
	// began leaves the key free. It refuses a key that another request came with.
	Once(ctx context.Context, k Keyed, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error)
}

// acting is a request for a change.
type acting interface{ act() *Act }

// keyFrom takes a key from the head of a request.
func (a *Act) keyFrom(h http.Header) error {
	key := h.Get(keyHeader)
	if key != "" && a.Key != "" && key != a.Key {
		return Errorf(Usage, "key %q in the body, and %q in %s: want one", a.Key, key, keyHeader)
	}
	if key != "" {
		a.Key = key
	}
	return nil
}

type keeperKey struct{}

// withKeeper is for each request to a controller that keeps keys.
func withKeeper(ctl Controller, h http.Handler) http.Handler {
	keeper, ok := ctl.(Keeper)
	if !ok {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keeperKey{}, keeper)))
	})
}

// once does a request, unless it has a key and was done.
func once[Req request](r *http.Request, req Req, do func(context.Context) (any, error)) (any, error) {
	a, ok := any(&req).(acting)
	if !ok || a.act().Key == "" {
		return do(r.Context())
	}
	keeper, ok := r.Context().Value(keeperKey{}).(Keeper)
	if !ok {
		return nil, Errorf(Refused, "key %q: this daemon keeps no keys", a.act().Key)
	}
	k := Keyed{Key: a.act().Key, Verb: strings.TrimPrefix(r.URL.Path, "/v1/")}
	text, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	sum := sha256.Sum256(text)
	k.Digest = hex.EncodeToString(sum[:])
	// An answer that is not kept is handed on as it is.
	answer, err := keeper.Once(r.Context(), k, func(ctx context.Context) (json.RawMessage, error) {
		res, err := do(ctx)
		if err != nil || res == nil {
			return nil, err
		}
		return json.Marshal(res)
	})
	if answer == nil {
		return nil, err
	}
	return answer, err
}
