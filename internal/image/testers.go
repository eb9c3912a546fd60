package image

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// WithTesters is the image with other testers. All else is shared, and nobody changes it.
func (im *Image) WithTesters(testers map[kernel.Tester]kernel.TesterOrigin) *Image {
	out := *im
	out.Testers = testers
	return &out
}

// TestersBy lists the prefixes of each service's testers that have one of the origins, in order.
func (im *Image) TestersBy(from kernel.TesterOrigin) map[uint16][]netip.Prefix {
	out := map[uint16][]netip.Prefix{}
	for t, by := range im.Testers {
		if by&from != 0 {
			out[t.Service] = append(out[t.Service], t.Prefix)
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b netip.Prefix) int {
			return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
		})
	}
	return out
}

// TesterCounts says how many prefixes of testers each service has.
func (im *Image) TesterCounts() map[uint16]int {
	out := map[uint16]int{}
	for t := range im.Testers {
		out[t.Service]++
	}
	return out
}

// CheckTesters refuses more than the kernel holds.
func CheckTesters(testers map[kernel.Tester]kernel.TesterOrigin) error {
	var n [2]int
	for t := range testers {
		n[family(t.Prefix.Addr())]++
	}
	for _, f := range kernel.Families() {
		if n[f] > kernel.MaxTesters {
			return fmt.Errorf("%d prefixes of testers of one family, over all services, are more than %d", n[f], kernel.MaxTesters)
		}
	}
	return nil
}

// dropStrayTesters takes away those of services that are gone.
func (im *Image) dropStrayTesters() {
	maps.DeleteFunc(im.Testers, func(t kernel.Tester, _ kernel.TesterOrigin) bool {
		_, there := im.Services[t.Service]
		return !there
	})
}

// savedTesters gives a service that the kernel does not know those that the operator named before the reboot.
func (b *builder) savedTesters(index uint16, name string) {
	for _, p := range b.State.Services[name].Testers {
		b.im.Testers[kernel.Tester{Service: index, Prefix: p}] = kernel.FromOperator
	}
}

// testers brings those of the file up to date. Those that the operator named stay; those of probes that a crash cut short go.
func (b *builder) testers() {
	for t, by := range b.im.Testers {
		if by &^= kernel.FromFile | kernel.FromProbe; by == 0 {
			delete(b.im.Testers, t)
		} else {
			b.im.Testers[t] = by
		}
	}
	for _, s := range b.Config.Services {
		index, _ := b.im.ServiceNamed(s.Name)
		for _, p := range s.Testers {
			b.im.Testers[kernel.Tester{Service: index, Prefix: p}] |= kernel.FromFile
		}
	}
	if err := CheckTesters(b.im.Testers); err != nil && b.full == nil {
		b.full = err
	}
}

// putTesters comes before the steer words: a candidate's testers are there when it is named.
func (w Writer) putTesters(have, want *Image) error {
	for t, by := range want.Testers {
		if old, there := have.Testers[t]; there && old == by {
			continue
		}
		w.step("tester %v", t)
		if err := w.Tables.PutTester(t, by); err != nil {
			return err
		}
	}
	return nil
}

func (w Writer) removeTesters(have, want *Image) error {
	var errs []error
	for t := range have.Testers {
		if _, keep := want.Testers[t]; !keep {
			w.step("remove tester %v", t)
			errs = append(errs, w.Tables.RemoveTester(t))
		}
	}
	return errors.Join(errs...)
}
