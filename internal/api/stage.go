package api

// maxStaged bounds a pool that is given at run time.
const maxStaged = 32 << 10

// StageRequest asks to give the idle colour of Service a generation of a
// version, with the backends of Pool, a YAML map as the file has one. Name is
// for messages.
type StageRequest struct {
	Act
	Service string `json:"service"`
	Version string `json:"version"`
	Name    string `json:"name"`
	Pool    []byte `json:"pool"`
}

func (r StageRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	switch {
	case r.Version == "":
		return Errorf(Usage, "version: missing")
	case len(r.Pool) == 0 || len(r.Pool) > maxStaged:
		return Errorf(Usage, "pool: %d bytes: want 1 to %d; a larger one goes into the configuration file", len(r.Pool), maxStaged)
	}
	return needService(r.Service)
}

// Staged is what is on the idle colour now.
type Staged struct {
	Service   string        `json:"service"`
	Candidate GenerationRef `json:"candidate"`
	Changes   []Change      `json:"changes"`
}
