package main

//go:generate go tool bpf2go -cc clang-19 -target bpfel -no-global-types floor floor.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -target bpfel -no-global-types table table.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -I../../bpf -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -target bpfel -no-global-types hash hash.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -I../../bpf -I/usr/include/x86_64-linux-gnu
