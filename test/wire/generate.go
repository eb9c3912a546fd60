package main

//go:generate go tool bpf2go -cc clang-19 -target bpfel -no-global-types flood flood.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
