// Package survive has the tests of what sessions survive: daemons that are killed at any moment, reboots, upgrades of the
// data plane, and other owners of the interface. Who judges are the players' sequence numbers and the backends' accept
// logs; the kernel's maps are read with a second opener, beside the daemon.
package survive
