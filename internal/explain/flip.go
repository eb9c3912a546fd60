package explain

import "github.com/ebbtide/ebbtide/maps"

// IfFlipped is a kernel in which services, by index, have other steer words since a flip at that tick. Flows and sessions
// are those that there are.
func IfFlipped(k Kernel, steers map[uint16]maps.Steer, now uint32) Kernel {
	return flipped{k, steers, now}
}

type flipped struct {
	Kernel
	steers map[uint16]maps.Steer
	now    uint32
}

func (f flipped) Steer(service uint16) maps.Steer {
	if steer, is := f.steers[service]; is {
		return steer
	}
	return f.Kernel.Steer(service)
}

func (f flipped) Flipped(service uint16) uint32 {
	if _, is := f.steers[service]; is {
		return f.now
	}
	return f.Kernel.Flipped(service)
}
