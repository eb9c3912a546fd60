// Package bpftest holds the data plane built with EBBTIDE_TEST: rules of the protocol can be left out and races made
// wide (bpf/rules.h, bpf/stall.h), so that tests can see a promise broken. Nothing that ships imports it.
package bpftest

//go:generate go tool bpf2go -cc clang-19 -target bpfel -no-global-types -type rule Program ../ebbtide.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -DEBBTIDE_TEST -I/usr/include/x86_64-linux-gnu
