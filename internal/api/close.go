package api

// What a closed service tells whoever begins a session.
const (
	AnswerReset = "reset" // TCP: a RST; UDP: ICMP "port unreachable"
	AnswerICMP  = "icmp"  // ICMP "administratively prohibited"
)

// CloseRequest asks to take no new sessions of Service. Answer is what they are
// told, AnswerReset when it is "".
type CloseRequest struct {
	Act
	Service string `json:"service"`
	Answer  string `json:"answer,omitempty"`
}

func (r CloseRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if r.Answer != "" && r.Answer != AnswerReset && r.Answer != AnswerICMP {
		return Errorf(Usage, "answer %q: want %s or %s", r.Answer, AnswerReset, AnswerICMP)
	}
	return needService(r.Service)
}

// OpenRequest asks to take new sessions of Service again.
type OpenRequest struct {
	Act
	Service string `json:"service"`
}

func (r OpenRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	return needService(r.Service)
}

// Closed says whether a service takes new sessions: Answer is "" when it does.
type Closed struct {
	Service string        `json:"service"`
	Answer  string        `json:"answer"`
	Live    GenerationRef `json:"live"`
}
