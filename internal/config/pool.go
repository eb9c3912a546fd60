package config

// MaxVersion is the longest version, in bytes.
const MaxVersion = 31

// Pool is what a colour of a service shall hold. It is recognised by its
// version: the same one is the same generation, edited.
type Pool struct {
	Version  string
	Backends []Backend
}

// placedPool is a pool and where the file says so.
type placedPool struct {
	colour   Colour
	version  string
	backends []placedBackend
	at       value
	versions value // where the version stands
	list     value // where the backends stand
	sound    bool
}

func (p placedPool) pool() Pool {
	backends := make([]Backend, len(p.backends))
	for i, b := range p.backends {
		backends[i] = b.Backend
	}
	return Pool{Version: p.version, Backends: backends}
}

func (v value) pools() []placedPool {
	fields, ok := v.mapping(Blue.String(), Green.String())
	if !ok {
		return nil
	}
	if len(fields.entries) == 0 {
		v.fail("want blue, green or both")
	}
	var list []placedPool
	for _, colour := range Colours() {
		if p, ok := fields.get(colour.String()); ok {
			list = append(list, p.pool(colour))
		}
	}
	return list
}

func (v value) pool(colour Colour) placedPool {
	v.remember()
	p := placedPool{colour: colour, at: v}
	fields, ok := v.mapping("version", "backends")
	if !ok {
		return p
	}
	p.sound = true
	if version, ok := fields.need("version"); ok {
		p.versions = version
		p.version = version.version()
	}
	list, ok := fields.need("backends")
	if !ok {
		p.sound = false
		return p
	}
	p.list = list
	items, ok := list.list()
	p.sound = ok
	for _, item := range items {
		b, ok := item.backend()
		if !ok {
			p.sound = false
			continue
		}
		p.backends = append(p.backends, b)
	}
	return p
}

// version reads a version as it is written, "" when it is refused.
func (v value) version() string {
	v.remember()
	text, ok := v.text()
	switch {
	case !ok:
		return ""
	case text == "" || len(text) > MaxVersion:
		v.fail("a version is 1 to 31 bytes long, this one is %d", len(text))
		return ""
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			v.fail("%q: a version is printable ASCII without spaces", text)
			return ""
		}
	}
	return text
}

// checkVersions refuses one version in both pools: it would be one generation
// in two slots.
func (s *placedService) checkVersions() {
	if len(s.pools) < 2 || s.pools[0].version == "" || s.pools[0].version != s.pools[1].version {
		return
	}
	early, late := s.pools[0].versions, s.pools[1].versions
	if late.line < early.line {
		early, late = late, early
	}
	late.fail("%q is the version of %s on line %d too: a version is one generation", s.pools[0].version, parentField(early.field), early.line)
}
