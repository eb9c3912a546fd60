package systemd

import (
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// socketName is that of the API in the socket's unit (FileDescriptorName).
const socketName = "api"

// Socket is the one that the manager listens on for the API, or nil. Closing it leaves it to the manager.
func Socket() (net.Listener, error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("take the sockets that the service manager gave: %w", err)
	}
	if len(given) == 0 {
		return nil, nil
	}
	api := given[socketName]
	if len(given) != 1 || len(api) != 1 || api[0].Addr().Network() != "unix" {
		return nil, fmt.Errorf("the service manager gave other sockets than one of the name %s (FileDescriptorName=) for the API", socketName)
	}
	return api[0], nil
}
