package web

import (
	"net/netip"
	"sync"
)

// moving is a controller whose configuration changes.
type moving struct {
	*fake
	mu sync.Mutex
}

func newMoving() *moving { return &moving{fake: newFake()} }

func (m *moving) move(at netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
	close(m.change)
	m.change = make(chan struct{})
}

func (m *moving) Web() (netip.AddrPort, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, m.change
}
