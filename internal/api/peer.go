package api

import (
	"context"
	"net"

	"golang.org/x/sys/unix"
)

// Peer is the process behind a connection, as the kernel names it.
type Peer struct {
	UID uint32
	PID int32
}

type peerKey struct{}

// PeerOf gives who asks, for the context of a call; not ok when the daemon calls itself.
func PeerOf(ctx context.Context) (p Peer, ok bool) {
	p, ok = ctx.Value(peerKey{}).(Peer)
	return p, ok
}

// withPeer is for each connection. One whose peer the kernel does not tell is nobody's.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || inner != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, Peer{cred.Uid, cred.Pid})
}
