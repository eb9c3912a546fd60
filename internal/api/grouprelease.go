package api

import "slices"

// GroupReleaseRequest asks for a release of every service of Group, which flip in
// one step, or of none; or for a word to those that are under way.
type GroupReleaseRequest struct {
	Act
	Group string `json:"group"`
	Do    string `json:"do"`
	Force bool   `json:"force,omitempty"`
}

func (r GroupReleaseRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	words := []string{ReleaseStart, ReleasePause, ReleaseResume, ReleaseAbort, ReleaseRollback}
	if !slices.Contains(words, r.Do) {
		return Errorf(Usage, "do %q: want one of %q", r.Do, words)
	}
	return needGroup(r.Group)
}

// GroupReleases are the releases of a group that were begun together, in the order
// of their services.
type GroupReleases struct {
	Group    string    `json:"group"`
	Releases []Release `json:"releases"`
}
