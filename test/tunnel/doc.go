// Package tunnel has the end-to-end tests of ipip and of tagged links: backends whose kernels take the outer header off by
// tunnels of theirs, and a router that sends with none, one and two VLAN tags. Where the kernel has neither they are
// skipped: `make test-kernels` runs them on kernels that have both.
package tunnel
