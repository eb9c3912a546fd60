package remote

// Break ends the listener as trouble on the network would.
func (s *Server) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ln.Close()
}
