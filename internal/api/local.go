package api

import (
	"context"
	"net/http"
)

// Handler answers the verbs of ctl. It is for a listener besides the socket, which itself lets in only whom it may, says
// with [WithPeer] who asks, and waits for all calls before what ctl reads is unmapped.
func Handler(ctl Controller) http.Handler { return routes(ctl) }

// WithPeer is for the calls of a connection that is no unix socket, and whose other end is known all the same.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}
