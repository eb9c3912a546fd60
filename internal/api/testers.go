package api

import (
	"net/netip"

	"github.com/ebbtide/ebbtide/internal/config"
)

// TestersRequest asks for the testers of Service, after Add and Remove: all of
// both, or nothing of either. Each is an address or a prefix.
type TestersRequest struct {
	Act
	Service string   `json:"service"`
	Add     []string `json:"add,omitempty"`
	Remove  []string `json:"remove,omitempty"`
}

// Prefixes gives Add and Remove as prefixes.
func (r TestersRequest) Prefixes() (add, remove []netip.Prefix, err error) {
	if add, err = prefixes(r.Add); err != nil {
		return nil, nil, err
	}
	remove, err = prefixes(r.Remove)
	return add, remove, err
}

func prefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		var err error
		if out[i], err = config.ParseClients(text); err != nil {
			return nil, Errorf(Usage, "tester: %v", err)
		}
	}
	return out, nil
}

func (r TestersRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if err := needService(r.Service); err != nil {
		return err
	}
	_, _, err := r.Prefixes()
	return err
}

// Testers of a service go to its candidate, which is nil while nothing is
// staged.
type Testers struct {
	Service   string         `json:"service"`
	Candidate *GenerationRef `json:"candidate"`
	Testers   []Tester       `json:"testers"`
}

// Tester is a prefix of clients. It was named by the operator, by the
// configuration file, or by both.
type Tester struct {
	Prefix   string `json:"prefix"`
	Operator bool   `json:"operator"`
	File     bool   `json:"file"`
}
