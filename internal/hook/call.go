package hook

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Call is what a hook is told: the JSON on a program's standard input and in a webhook's body.
type Call struct {
	Key        string            `json:"key"` // the same over retries and restarts of the daemon: a key that was seen is no new call
	Transition string            `json:"transition"`
	Service    string            `json:"service"`
	Release    uint32            `json:"release"`
	From       api.GenerationRef `json:"from"`
	To         api.GenerationRef `json:"to"`
	Actor      string            `json:"actor"`
	Reason     string            `json:"reason"`
	Backends   []string          `json:"backends"` // addresses of those that the transition is about, where it is not about all
	Left       []Left            `json:"left"`     // of a notice: a batch of the flows that are left on From
	Deadline   time.Time         `json:"deadline,omitzero"`
	At         time.Time         `json:"at"`
}

// Left is a flow that is left on a generation, in the words of api.Flow.
type Left struct {
	Client      string `json:"client"` // address and port
	Protocol    string `json:"protocol"`
	Port        uint16 `json:"port"`    // the listener's
	Backend     string `json:"backend"` // its address
	AgeSeconds  uint32 `json:"age_seconds"`
	IdleSeconds uint32 `json:"idle_seconds"`
}

// The kernel takes no variable of more than 128 KiB, so what may be long is bounded.
const (
	maxReason   = 4 << 10
	maxBackends = 32 << 10
)

// keyVariable begins the variable that has a call's key.
const keyVariable = "EBBTIDE_KEY="

// environment is a call in variables, for programs that read no JSON.
func (c Call) environment(attempt int) []string {
	env := []string{
		keyVariable + c.Key,
		"EBBTIDE_ATTEMPT=" + strconv.Itoa(attempt),
		"EBBTIDE_TRANSITION=" + c.Transition,
		"EBBTIDE_SERVICE=" + c.Service,
		"EBBTIDE_RELEASE=" + strconv.FormatUint(uint64(c.Release), 10),
		"EBBTIDE_ACTOR=" + c.Actor,
		"EBBTIDE_REASON=" + c.Reason[:min(len(c.Reason), maxReason)],
		"EBBTIDE_LEFT=" + strconv.Itoa(len(c.Left)),
		"EBBTIDE_AT=" + c.At.Format(time.RFC3339),
	}
	env = append(env, generation("FROM", c.From)...)
	env = append(env, generation("TO", c.To)...)
	if !c.Deadline.IsZero() {
		env = append(env, "EBBTIDE_DEADLINE="+c.Deadline.Format(time.RFC3339))
	}
	if backends := strings.Join(c.Backends, " "); len(backends) <= maxBackends {
		env = append(env, "EBBTIDE_BACKENDS="+backends)
	}
	for i, v := range env {
		env[i] = strings.ReplaceAll(v, "\x00", "") // it would end the variable
	}
	return env
}

func generation(which string, g api.GenerationRef) []string {
	return []string{
		fmt.Sprintf("EBBTIDE_%s_GENERATION=%d", which, g.Number),
		fmt.Sprintf("EBBTIDE_%s_COLOUR=%s", which, g.Colour),
		fmt.Sprintf("EBBTIDE_%s_VERSION=%s", which, g.Version),
	}
}
