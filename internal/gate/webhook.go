package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/plain"
	"github.com/ebbtide/ebbtide/internal/sign"
)

// question is what a webhook is asked with.
type question struct {
	Gate string    `json:"gate"`
	At   time.Time `json:"at"`
	Facts
}

// answer is what it says.
type answer struct {
	Verdict Verdict  `json:"verdict"`
	Value   *float64 `json:"value"`
	Detail  string   `json:"detail"`
}

// webhook asks one.
func webhook(ctx context.Context, client *http.Client, g config.Gate, f Facts, now time.Time) Reading {
	a, err := post(ctx, client, g, question{g.Name, now, f})
	if err != nil {
		return Reading{Verdict: Unknown, Detail: fmt.Sprintf("ask the webhook at %s: %s", shown(g.Webhook), plainly(err))}
	}
	return Reading{Verdict: a.Verdict, Value: a.Value, Detail: a.Detail}
}

func post(ctx context.Context, client *http.Client, g config.Gate, q question) (a answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.Webhook, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ebbtide")
	if g.SecretFile != "" {
		// By the clock on the wall, as whoever receives it has it: the release's own may be behind.
		if err := sign.Header(req.Header, g.SecretFile, body, time.Now()); err != nil {
			return a, err
		}
	}
	res, err := bounded(client).Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return a, err
	}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("the answer is %d: want 200, with a verdict", res.StatusCode)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("read the answer: %w", err)
	}
	a.Detail = plain.Text(a.Detail)
	switch a.Verdict {
	case Pass, Fail, Pending:
		return a, nil
	}
	return a, fmt.Errorf("its verdict is %q: want pass, fail or pending", a.Verdict)
}
