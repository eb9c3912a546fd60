package config

// check applies the rules between the parts of a file. It skips what could
// not be read, so that one mistake is not reported twice.
func (d *decoder) check(services []placedService) {
	checkOverlaps(services)
	checkBackendsAreNoVIPs(services)
	for i := range services {
		s := &services[i]
		s.checkVersions()
		s.checkFamilies()
		s.checkTesters()
		if s.forwarding == DSR || s.forwarding == IPIP {
			s.checkKeptPorts()
			s.checkDuplicates()
		}
		if s.forwarding == IPIP {
			d.checkOuterSource(s)
		}
	}
	d.checkReplySockets(services)
}
