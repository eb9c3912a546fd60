package api

// Bounds of a replay.
const (
	MaxReplayFrames = 10_000
	MaxReplayBytes  = 16 << 20
	minFrame        = 14 // an Ethernet header
	maxFrame        = 64 << 10
)

// ReplayRequest has frames for the program, in the order in which they come.
// It runs on copies of the maps, or, if flipped, on copies in which each
// service that has something staged was flipped to it.
type ReplayRequest struct {
	Frames    [][]byte `json:"frames"`
	IfFlipped bool     `json:"if_flipped,omitempty"`
}

func (r ReplayRequest) validate() error {
	if len(r.Frames) > MaxReplayFrames {
		return Errorf(Usage, "%d frames: no more than %d are taken at once", len(r.Frames), MaxReplayFrames)
	}
	all := 0
	for i, f := range r.Frames {
		if len(f) < minFrame || len(f) > maxFrame {
			return Errorf(Usage, "frame %d: it has %d bytes, want %d to %d", i+1, len(f), minFrame, maxFrame)
		}
		all += len(f)
	}
	if all > MaxReplayBytes {
		return Errorf(Usage, "frames of %d bytes: no more than %d are taken at once", all, MaxReplayBytes)
	}
	return nil
}

// Replay is what the program made of each frame.
type Replay struct {
	Tag     string     `json:"tag"` // of the program, which is that of the one on the interfaces
	Packets []Replayed `json:"packets"`
}

// VerdictAnswer: the program answered a packet itself.
const VerdictAnswer = "answer"

// Replayed is what became of one frame. What is no IP has no
// addresses here.
type Replayed struct {
	Protocol   string         `json:"protocol,omitempty"`
	From       string         `json:"from,omitempty"`
	To         string         `json:"to,omitempty"`
	Verdict    string         `json:"verdict"`
	Reasons    []string       `json:"reasons,omitempty"` // what was counted
	Service    string         `json:"service,omitempty"`
	Generation *GenerationRef `json:"generation,omitempty"`
	Backend    string         `json:"backend,omitempty"` // of the pin, when there is one
	In         int            `json:"in"`                // bytes of the frame
	Out        int            `json:"out,omitempty"`     // and of what is sent
}
