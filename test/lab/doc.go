// Package lab builds small networks out of network namespaces, for the
// end-to-end tests and the demo: a client behind a router, the load balancer,
// and backends, dual-stack, over veth pairs and one bridge.
//
// Nothing here touches an interface of the host. Everything a lab makes
// carries the lab's id, and goes with [Lab.Close]; what a killed process left
// goes with the next [Sweep], which never touches a lab whose process lives.
package lab
