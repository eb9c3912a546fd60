package model

// tags of the frame as it came, priorities left out.
func (f *frame) tags() Tags {
	out := append([]byte{}, f.in[12:f.ip-2]...)
	for at := 2; at < len(out); at += 4 {
		out[at] &= 0x0f
	}
	return Tags(out)
}

// retag gives the frame other tags. One that takes the place of another has its priority.
func (f *frame) retag(want Tags) {
	was := f.bytes[12 : f.ip-2]
	tags := []byte(want)
	for at := 2; at < min(len(tags), len(was)); at += 4 {
		tags[at] |= was[at] & 0xf0
	}
	f.bytes = append(append(append([]byte{}, f.bytes[:12]...), tags...), f.bytes[f.ip-2:]...)
}

// cameBy is the way by which the frame came, if this host is in its VLAN. A tag of VLAN 0 only has a priority.
func (m *Model) cameBy(f *frame) (Way, bool) {
	way := Way{f.iface, f.tags()}
	if len(way.Tags) == 4 && way.Tags[2:] == "\x00\x00" {
		way.Tags = ""
	}
	_, known := m.VLANs[way]
	return way, known || way.Tags == ""
}

// leaveBy is what is known of a way.
func (m *Model) leaveBy(way Way) (i Iface, ok bool) {
	if way.Tags == "" {
		i, ok = m.Ifaces[way.Iface]
	} else {
		i, ok = m.VLANs[way]
	}
	return i, ok
}

// lastHop is where a frame comes from.
func (m *Model) lastHop(f *frame) Hop {
	way, _ := m.cameBy(f)
	return Hop{MAC(f.in[6:12]), way}
}
