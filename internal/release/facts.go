package release

// Facts are what the kernel and the daemon say of a release, at one moment.
type Facts struct {
	Live    uint32   // number of the live generation
	From    Standing // of the record's generations
	To      Standing
	Share   uint16 // that the candidate has now, in ten-thousandths
	Other   uint32 // another release of the service that may still change who is live, by number; 0: none
	Held    string // why nothing may be changed now: a lock, a freeze; empty: it may
	Ending  string // transition of a hook that is being stopped, since nothing waits for it any more; empty: none
	Checks  []Check
	Gates   []Gate
	Resting Resting
	Group   Together
}

// Standing is where a generation stands.
type Standing struct {
	State    Life
	InPool   bool   // it holds a colour, and so may be flipped to
	Left     uint64 // sessions
	Unmarked uint64 // of those, that nobody has told to move
	// Uncounted: no complete sweep has begun since it drains, so these are the figures of before.
	Uncounted bool
	Doubt     string // why a count of none would prove nothing
}

// Life is the state of a generation, in the words of the API; empty when it is gone.
type Life string

// The states of a generation.
const (
	Gone      Life = ""
	Candidate Life = "candidate"
	Live      Life = "live"
	Drains    Life = "draining"
	Drained   Life = "drained"
)

// Check is something that must hold before a flip.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // with figures
	// Unknown: nobody could look. That is said, and is OK.
	Unknown bool `json:"unknown,omitempty"`
	// Asking: the answer is not there yet. It is waited for, and has not failed.
	Asking bool `json:"-"`
}

// Gate is the newest reading of one.
type Gate struct {
	Name    string
	Verdict Verdict
	OnFail  Policy
	Detail  string
	// Approval is of one that waits for somebody's word.
	Approval bool
}

// Verdict of a gate.
type Verdict string

// The verdicts. Only a pass lets a release go on, only a failure stops it.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Pending Verdict = "pending" // it can't be told yet
	Unknown Verdict = "unknown" // it could not be asked
)

// Policy is what a gate's failure leads to.
type Policy string

// The policies.
const (
	ByRollback Policy = "rollback"
	ByPause    Policy = "pause"
	ByTelling  Policy = "tell"
)

// Resting is what the data plane says of the backends of a rolling or in-place release.
type Resting struct {
	Backends []string // that take no new sessions, by the release's order
	Left     uint64   // their sessions
	Counted  bool     // by a complete sweep that began when the last of them had stopped to take new ones
	Closed   bool     // in-place: new sessions get the busy answer
}
