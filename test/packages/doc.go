// Package packages proves the packages: built twice they are the same bytes, and in a clean Debian root, booted with
// systemd in a container on the load balancer of a lab, they are installed, run, upgraded and removed while players play.
package packages
