package maps

import (
	"math/rand/v2"
	"testing"
)

// Whoever knows a host's seed finds flows that all lie in one line. On a host of another seed the same flows are spread as any
// are: what was found at one is of no use at another.
func TestFlowsThatCollideOnOneHostDoNotOnAnother(t *testing.T) {
	const lines, many, vip = 1 << 10, 64, 7
	known, other := rand.Uint64(), rand.Uint64()
	t.Logf("seeds %#x and %#x", known, other)
	for _, family := range Families() {
		colliding := [][3]uint64{}
		for n := uint64(0); len(colliding) < many; n++ {
			key := [3]uint64{n<<32 | 40000<<16 | 7777, n, n * n}
			if bucketHash(family, key, vip, known)%lines == 0 {
				colliding = append(colliding, key)
			}
		}
		hit := map[uint64]int{}
		for _, key := range colliding {
			hit[bucketHash(family, key, vip, other)%lines]++
		}
		for line, n := range hit { // with chance, four of 64 in one of 1024 lines come once in millions of runs
			if n > 5 {
				t.Errorf("family %d: %d of %d flows lie in line %d at another seed", family, n, many, line)
			}
		}
	}
}
