package recording

// Make makes the files of docs/demo out of a recording of the demo, by name.
func Make(c Cast) (map[string][]byte, error) {
	tide, err := TideOf(c)
	if err != nil {
		return nil, err
	}
	cast, err := c.Bytes()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"demo.cast": cast, "demo.svg": c.Play(), "tide.svg": tide.Draw()}, nil
}
