package api

import "time"

// SupportBundleRequest asks for what helps others to find a fault. With
// Addresses those of clients are not masked.
type SupportBundleRequest struct {
	Addresses bool `json:"addresses,omitempty"`
}

func (SupportBundleRequest) validate() error { return nil }

// SupportBundle is what the daemon knows of itself, without secrets. Masked
// says that each address but those of VIPs, backends and this host has a name
// in its place, the same one in all files.
type SupportBundle struct {
	Version string       `json:"version"`
	Made    time.Time    `json:"made"`
	Masked  bool         `json:"masked"`
	Files   []BundleFile `json:"files"`
}

// BundleFile is one file of a [SupportBundle].
type BundleFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}
