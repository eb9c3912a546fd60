package storm

//go:generate go tool bpf2go -cc clang-19 -target bpfel -type template -type count -type course Program storm.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
