package image

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"

	"github.com/ebbtide/ebbtide/internal/maglev"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// taker is a backend that takes new sessions.
type taker struct {
	id     uint16
	weight uint16
	key    backendKey
}

// takers are those of a generation and family, and the table's size: all that its Maglev table is made from.
type takers struct {
	who  []taker
	size int
}

// takers counts those that take no sessions for a time into the size: a table of another size sends nearly all new flows
// elsewhere, which one sick backend must not.
func (im *Image) takers(generation uint16, f kernel.Family) (out takers) {
	n := 0
	for _, id := range im.BackendsOf(generation) {
		b := im.Backends[id]
		if b.couldTake(f) {
			n++
		}
		if b.takes(f) {
			out.who = append(out.who, taker{id, b.Weight, b.key()})
		}
	}
	out.size = maglev.Size(n)
	return out
}

// Maglev builds the table of a generation and family: backend ids, nil when none takes sessions.
func (im *Image) Maglev(generation uint16, f kernel.Family) []uint16 {
	return im.takers(generation, f).table()
}

// table steers alike on every host: a backend's name tells no id.
func (t takers) table() []uint16 {
	if len(t.who) == 0 {
		return nil
	}
	entries := make([]maglev.Entry, len(t.who))
	for i, b := range t.who {
		entries[i] = maglev.Entry{Name: b.key.String(), Weight: uint32(b.weight)}
	}
	table := maglev.Build(entries, t.size)
	for i, at := range table {
		table[i] = t.who[at].id
	}
	return table
}

// digest tells whether the table in the kernel is the one that would be made. To make it takes a hundred times as long.
func (t takers) digest() uint64 {
	if len(t.who) == 0 {
		return 0
	}
	h := fnv.New64a()
	word := binary.LittleEndian.AppendUint64(nil, maglev.Version)
	if t.size != maglev.Size(len(t.who)) {
		word = binary.LittleEndian.AppendUint32(word, uint32(t.size))
	}
	for _, b := range t.who {
		word = binary.LittleEndian.AppendUint16(word, b.id)
		word = binary.LittleEndian.AppendUint16(word, b.weight)
		word = binary.LittleEndian.AppendUint16(word, b.key.port)
		word = append(append(word, byte(b.key.v4.BitLen()), byte(b.key.v6.BitLen())), b.key.v4.AsSlice()...)
		h.Write(append(word, b.key.v6.AsSlice()...))
		word = word[:0]
	}
	return h.Sum64() | 1
}

// MaglevIn is the table that the kernel has. To read it takes CAP_SYS_ADMIN: without, it is made anew, where the kernel's
// note says that it was made from the same backends.
func (im *Image) MaglevIn(t *kernel.Tables, generation uint16, f kernel.Family) ([]uint16, error) {
	table, err := t.Maglev(generation, f)
	if !errors.Is(err, os.ErrPermission) {
		return table, err
	}
	if takers := im.takers(generation, f); t.HasMaglev(generation, f, takers.digest()) {
		return takers.table(), nil
	}
	return nil, err
}
