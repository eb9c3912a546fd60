// Package probe makes clients whose packets come to this host from outside: what the host itself sends to a VIP never
// meets XDP at its ingress.
//
// A network namespace of its own has one leg to the host, a veth pair at whose host end the daemon runs the program while
// it probes. Where backends answer their clients directly (dsr, ipip), another leg hears the answers: a macvlan on the
// interface at which they come in. A second namespace has backends that are nobody's, for rehearsals. Nobody but the
// process that made the namespaces holds them, so all of it goes with that process, however it ends.
package probe
