// Package bpfwide holds the data plane built with flow tables of another shape, for the tests of an upgrade.
package bpfwide

//go:generate go tool bpf2go -cc clang-19 -target bpfel -no-global-types Program ../ebbtide.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -include line.h -I/usr/include/x86_64-linux-gnu
