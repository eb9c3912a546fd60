// Package operate has the tests of what an operator does and sees: the real binary, its exit codes and what it prints,
// against a real daemon with players in; reloads that are refused; lists of flows, plans and metrics beside what the
// players and the backends know.
package operate
