package config

// Affinity says which flows are one session.
type Affinity string

// The affinities.
const (
	AffinityFlow       Affinity = "flow"         // each flow is one
	AffinityClient     Affinity = "client"       // those of one client address, on one backend
	AffinityClientPool Affinity = "client: pool" // those of one client address, in one colour
)

// affinity reads `flow`, `client` or `{client: pool}`.
func (v value) affinity() (Affinity, bool) {
	if !v.isMapping() {
		return oneOf(v, AffinityFlow, AffinityClient)
	}
	fields, ok := v.mapping("client")
	if !ok {
		return AffinityFlow, false
	}
	of, ok := fields.need("client")
	if !ok {
		return AffinityFlow, false
	}
	if _, ok := oneOf(of, "pool"); !ok {
		return AffinityFlow, false
	}
	return AffinityClientPool, true
}
