package image

import (
	"encoding/binary"
	"hash/fnv"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// staged finds the generation that holds a colour and was never live; 0: none.
func (im *Image) staged(service uint16) uint16 {
	for _, g := range im.index.generations[service] {
		if rec := im.Generations[g]; rec.State == kernel.Candidate && rec.Colour != kernel.NoColour {
			return g
		}
	}
	return 0
}

// candidate names what is staged in the steer word. A share belongs to one candidate and ends with it.
func (b *builder) candidate(index uint16) {
	s := b.im.Services[index]
	g := b.im.staged(index)
	if s.Steer.Live == 0 {
		g = 0
	}
	number := b.im.Generations[g].Number
	if g == 0 {
		s.Salt = b.Have.Services[index].Salt // of no use now: not written for nothing
	} else {
		s.Salt = saltOf(s.Name, number)
	}
	if g != s.Steer.Candidate {
		s.Steer.Candidate, s.Steer.Share = g, b.savedShare(s.Name, number)
	}
	b.im.Services[index] = s
}

// savedShare is what a candidate had before a reboot: nothing, where the kernel would know.
func (b *builder) savedShare(service string, number uint32) uint16 {
	if saved := b.State.Services[service].Share; saved != nil && saved.Generation == number {
		return saved.TenThousandths
	}
	return 0
}

// saltOf decides which clients are in the first percent of a release: the same on every host and until it is over, and
// others in the next one.
func saltOf(service string, number uint32) uint64 {
	h := fnv.New64a()
	h.Write([]byte(service))
	h.Write(binary.BigEndian.AppendUint32([]byte{0}, number)) // no name has a 0 in it
	return h.Sum64()
}
