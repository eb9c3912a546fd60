package loader

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
)

// ErrOutdated: the program in the kernel is not the one that this loader could load a second time.
var ErrOutdated = errors.New("the program in the kernel is of another build, or still imports the flows of one: reload replaces it")

// Replica is the program of a plane loaded a second time, on copies of the maps that it writes. What no program can write
// it shares: listeners, replies, testers, and the Maglev tables. It is attached to nothing.
type Replica struct {
	Tables *maps.Tables
	Tag    string // of its program, and of the plane's

	program *ebpf.Program
	coll    *ebpf.Collection
}

// NewReplica loads a replica with empty tables of the same size; the verifier takes a second. [Replica.Fill] copies what
// is in them.
func (p *Plane) NewReplica() (*Replica, error) {
	if p.config.Build != buildOf(p.spec) || p.config.Previous != 0 {
		return nil, ErrOutdated
	}
	shared := map[string]*ebpf.Map{}
	for name, m := range p.maps {
		if name == "maglev" || m.Flags()&unix.BPF_F_RDONLY_PROG != 0 && !strings.HasPrefix(name, ".rodata") {
			shared[name] = m
		}
	}
	if err := p.roomFor(shared); err != nil {
		return nil, err
	}
	coll, err := load(p.spec, p.config, shared)
	if err != nil {
		return nil, err
	}
	r := &Replica{program: coll.Programs[programName], coll: coll}
	if err := r.init(p); err != nil {
		coll.Close()
		return nil, err
	}
	return r, nil
}

func (r *Replica) init(p *Plane) error {
	ours, err := tagOf(r.program)
	if err != nil {
		return err
	}
	if r.Tag, err = tagOf(p.program); err != nil {
		return err
	}
	if ours != r.Tag {
		return fmt.Errorf("%w (its tag is %s, this build's %s)", ErrOutdated, r.Tag, ours)
	}
	vars, err := maps.VariablesOf(p.spec)
	if err != nil {
		return err
	}
	r.Tables, err = maps.New(r.coll.Maps, vars, layouts(p.config))
	return err
}

func tagOf(program *ebpf.Program) (string, error) {
	info, err := program.Info()
	if err != nil {
		return "", fmt.Errorf("read the tag of the program: %w", err)
	}
	return info.Tag, nil
}

// Close takes the replica out of the kernel.
func (r *Replica) Close() error {
	err := r.Tables.Close()
	r.coll.Close()
	return err
}

// Action is what a program says of a packet.
type Action uint32

// The actions.
const (
	Aborted Action = iota
	Dropped
	Passed
	Sent
	Redirected
)

// Run gives the replica a frame that comes in by an interface, and says what became of it.
func (r *Replica) Run(ifindex uint32, frame []byte) (Action, []byte, error) {
	opts := ebpf.RunOptions{
		Data: frame, DataOut: make([]byte, len(frame)+256), // an outer header is 40
		Context: xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: ifindex},
	}
	action, err := r.program.Run(&opts)
	if err != nil {
		return 0, nil, fmt.Errorf("run the program on a frame of %d bytes: %w", len(frame), err)
	}
	return Action(action), opts.DataOut, nil
}

// roomFor refuses copies that would take more than half of the memory that is free.
func (p *Plane) roomFor(shared map[string]*ebpf.Map) error {
	var need uint64
	for name, m := range p.maps {
		if shared[name] == nil {
			need += uint64(m.MaxEntries()) * uint64(m.ValueSize())
		}
	}
	free, err := freeMemory()
	if err == nil && need > free/2 {
		err = fmt.Errorf("copy the maps: they take %d MiB, and of memory %d MiB are free; half of it has to stay", need>>20, free>>20)
	}
	return err
}

func freeMemory() (uint64, error) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kilobytes uint64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("read /proc/meminfo: it does not say what is available")
}
