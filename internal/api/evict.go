package api

import (
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// How often an [EvictRequest] may mark a batch.
const (
	MinEvictEvery = 100 * time.Millisecond
	MaxEvictEvery = time.Hour
)

// EvictRequest asks to mark the sessions that Generation of Service has now, of
// all clients or those of an address or a prefix: at most Batch of them at once,
// and a batch at intervals. Force marks those of the live generation, or of a
// candidate whose share would take them back, too.
type EvictRequest struct {
	Act
	Service      string  `json:"service"`
	Generation   uint32  `json:"generation"`
	Client       string  `json:"client,omitempty"`
	Batch        uint32  `json:"batch"`
	EverySeconds float64 `json:"every_seconds"`
	Force        bool    `json:"force,omitempty"`
}

// Every gives EverySeconds as a duration.
func (r EvictRequest) Every() time.Duration {
	return time.Duration(r.EverySeconds * float64(time.Second))
}

// ClientPrefix gives Client as a prefix, the zero Prefix for every client.
func (r EvictRequest) ClientPrefix() (netip.Prefix, error) {
	if r.Client == "" {
		return netip.Prefix{}, nil
	}
	p, err := config.ParseClients(r.Client)
	if err != nil {
		return netip.Prefix{}, Errorf(Usage, "client: %v", err)
	}
	return p, nil
}

func (r EvictRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	switch every := r.Every(); {
	case r.Generation == 0:
		return Errorf(Usage, "generation: missing")
	case r.Batch == 0:
		return Errorf(Usage, "batch of 0 sessions: want 1 or more")
	case every < MinEvictEvery || every > MaxEvictEvery:
		return Errorf(Usage, "a batch every %s: want %s to %s", every, MinEvictEvery, MaxEvictEvery)
	}
	if _, err := r.ClientPrefix(); err != nil {
		return err
	}
	return needService(r.Service)
}

// EvictProgress is where an eviction stands. Found is how many sessions there
// were to mark when it began: it never marks more. Moved counts those that the
// generation has lost by their next packet since then, and Evicting those, of
// any eviction, that are marked and silent.
type EvictProgress struct {
	Service    string        `json:"service"`
	Generation GenerationRef `json:"generation"`
	Found      uint64        `json:"found"`
	Marked     uint64        `json:"marked"`
	Moved      uint64        `json:"moved"`
	Evicting   uint64        `json:"evicting"`
	Done       bool          `json:"done"` // the last progress of the stream
}
