// Package e2e has the end-to-end tests: real packets, kernel stacks and native XDP over veth, with the daemon as a
// process of its own. Who judges are the players' sequence numbers and the backends' accept logs.
package e2e
