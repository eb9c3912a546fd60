// Package bpf holds the data plane in C, the objects that clang 19 builds from it and the Go types of what both sides
// share. The objects are committed, so that building ebbtide needs no clang; `make generate` rebuilds them.
package bpf

//go:generate go tool bpf2go -cc clang-19 -target bpfel -type family -type limit -type limited -type affinity -type busy -type meta_bits -type flow_state -type timeout -type forwarding -type backend_state -type backend_use -type listener_kind -type generation_state -type colour -type reason -type sweep_args -type evict_args -type tick_sample -type layout -type counters -type troubles -type tester_key4 -type tester_key6 -type sessions -type trace_event -type trace_scratch -type tags -type iface -type tally Program ebbtide.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
