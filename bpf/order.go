package bpf

import "runtime"

// WeakOrder is CONFIG.weak_order on this machine: x86 alone keeps loads in order.
func WeakOrder() uint8 {
	if runtime.GOARCH == "amd64" {
		return 0
	}
	return 1
}
