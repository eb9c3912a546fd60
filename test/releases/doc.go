// Package releases measures what many releases at once cost the daemon, and how late its decisions come: `make
// bench-releases`.
package releases
