// Package documented runs the commands that the pages show, as they stand there: on the load balancer of a lab, where the files
// are at the places that the pages name, the daemon is the one that is packaged, and the service is called world.
package documented
