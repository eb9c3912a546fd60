// Package soak is a long time of a service's life, compressed: sessions of seconds, a flip every few of them, reloads, and
// kill -9 at random moments. Players and backends judge it; what the daemon holds of memory, files and goroutines must not
// grow. `make soak` runs it for an hour.
package soak
