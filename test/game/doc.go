// Package game is a small game to judge a load balancer by: servers for the
// backends, players who notice whatever breaks a session, and an accept log.
//
// Every request carries a number; the answer repeats it, with the backend's
// name and the server's own count of the session's requests. A player is
// broken by whatever the game did not ask for: a cut, a gap, a repeated or
// foreign answer, silence. Times are of one process and so of one clock.
package game
