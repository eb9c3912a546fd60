package maps

import (
	"bytes"
	"maps"
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
)

func TestVLANsComeBackAsTheyWereSet(t *testing.T) {
	tables := mustTables(t)
	want := map[uint32]VLAN{
		7: {On: 3, Tags: Tags{{TPID: 0x8100, ID: 20}}, MAC: [6]byte{2, 0, 0, 0, 0, 7}, MTU: 1500},
		8: {On: 3, Tags: Tags{{TPID: 0x88a8, ID: 100}, {TPID: 0x8100, ID: 20}}, MAC: [6]byte{2, 0, 0, 0, 0, 8}, MTU: 1496},
	}
	for index, v := range want {
		must(t, tables.SetVLAN(index, v))
	}
	must(t, tables.SetIface(7, Iface{MAC: [6]byte{2, 0, 0, 0, 0, 9}, MTU: 1500, Out: 4})) // they take no place of an interface
	if got := tables.VLANs(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := tables.SetVLAN(7+MaxIfaces, want[7]); err == nil {
		t.Error("two VLANs share a slot")
	}
	changed := want[8]
	changed.Tags = Tags{{TPID: 0x8100, ID: 21}}
	must(t, tables.SetVLAN(8, changed))
	want[8] = changed
	if got := tables.VLANs(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for index := range want {
		must(t, tables.RemoveVLAN(index))
		must(t, tables.RemoveVLAN(index))
	}
	if got := tables.VLANs(); len(got) != 0 {
		t.Errorf("%v after all went", got)
	}
	var key bpf.ProgramVlanKey
	if err := tables.Map("vlans").NextKey(nil, &key); err == nil {
		t.Errorf("packets still find %+v", key)
	}
}

// The words of tags are the bytes of the frame.
func TestTagsAreTheBytesOfTheFrame(t *testing.T) {
	tags := Tags{{TPID: 0x88a8, ID: 0x123}, {TPID: 0x8100, ID: 0xffe}}
	w := tags.wire()
	var got bytes.Buffer
	for _, word := range w.Words {
		for shift := 0; shift < 32; shift += 8 { // little endian, as bpf2go builds the object
			got.WriteByte(byte(word >> shift))
		}
	}
	if want := "\x88\xa8\x01\x23\x81\x00\x0f\xfe"; got.String() != want || w.Bytes != 8 {
		t.Errorf("% x of %d bytes, want % x", got.String(), w.Bytes, want)
	}
	if back := hostTags(w); back != tags {
		t.Errorf("%v, want %v", back, tags)
	}
}
