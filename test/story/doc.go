// Package story is one afternoon of an MMORPG: five services, each released by its own strategy, with real players. Who
// judges is not ebbtide: the players' own sequence numbers, what their sockets heard, and the backends' own accept logs.
package story
