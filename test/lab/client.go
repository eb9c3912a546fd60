package lab

import (
	"fmt"
	"net/netip"
)

// maxClientAddresses is how many of each family fit the clients' subnet.
const maxClientAddresses = 255 - clientHost

// ClientAddresses gives the client n addresses of each family, the first being
// those it has anyway, so that more flows fit than it has ports.
func (l *Lab) ClientAddresses(n int) (v4, v6 []netip.Addr, err error) {
	if n > maxClientAddresses {
		return nil, nil, fmt.Errorf("%d client addresses, at most %d", n, maxClientAddresses)
	}
	for i := range n {
		both := clientNet.prefixes(clientHost + i)
		v4, v6 = append(v4, both[0].Addr()), append(v6, both[1].Addr())
		if err := l.Client.replace("eth0", both); err != nil {
			return nil, nil, err
		}
	}
	return v4, v6, nil
}
