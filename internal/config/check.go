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
		if s.forwarding == DSR {
			s.checkDSRPorts()
			s.checkDSRDuplicates()
		}
	}
	d.checkReplySockets(services)
}
