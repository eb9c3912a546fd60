package remote

// Break ends the listener as trouble on the network would.
func (s *Server) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ln.Close()
}

// Lose is what becomes of a listener that trouble on the network has ended.
func (s *Server) Lose() {
	s.Break()
	s.lost(s.ln)
}

// Again is what takes the address again, up to the moment at which it is put in place.
func (s *Server) Again() (put func()) { return s.again() }
