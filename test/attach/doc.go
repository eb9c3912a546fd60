// Package attach has the end-to-end tests of what touches the host's own interfaces: where the program is attached and
// who held them before, which way out is usable, who holds the VIPs, and what of the host's settings plays no part. Who
// judges are the players and the kernel of the load balancer.
package attach
