// Package watch holds what watches ebbtide against the real thing: alert rules against promtool, the dashboard's queries
// against a Prometheus that scrapes a daemon with players in, traces against a receiver of OTLP.
package watch
