package game

import (
	"strings"
	"testing"
	"time"
)

func TestJudgeNoticesWhatTheGameDidNotAskFor(t *testing.T) {
	honest := func(seq uint64) frame { return frame{session: 7, seq: seq, count: seq, backend: "blue1"} }
	with := func(f frame, change func(*frame)) frame {
		change(&f)
		return f
	}
	tests := []struct {
		name    string
		answers []frame
		broken  []string
	}{
		{"honest answers", []frame{honest(1), honest(2), honest(3)}, nil},
		{"a gap", []frame{honest(1), honest(3)}, []string{"gap: answer 3 after 1"}},
		{"a repeat", []frame{honest(1), honest(1)}, []string{"repeated answer: 1 after 1"}},
		{"an old answer", []frame{honest(1), honest(2), honest(1)}, []string{"repeated answer: 1 after 2"}},
		{"an answer of another backend",
			[]frame{honest(1), with(honest(2), func(f *frame) { f.backend = "green1" })},
			[]string{"foreign answer: 2 from green1, after blue1"}},
		{"another player's answer",
			[]frame{honest(1), with(honest(2), func(f *frame) { f.session = 8 })},
			[]string{"foreign answer: of another session, from blue1"}},
		{"an answer before its question", []frame{honest(1), honest(2), honest(3), honest(4)},
			[]string{"answer 4 before it was asked for"}},
		{"a server that begins anew, said once",
			[]frame{honest(1), with(honest(2), func(f *frame) { f.count = 1 }), with(honest(3), func(f *frame) { f.count = 2 })},
			[]string{"blue1 counts 1 at request 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := judge{session: 7, sent: 3}
			for _, f := range tt.answers {
				j.hear(f, time.Time{})
			}
			if got, want := strings.Join(j.reasons(), "; "), strings.Join(tt.broken, "; "); got != want {
				t.Errorf("broken %q, want %q", got, want)
			}
		})
	}
}

func TestJudgeTakesSilenceForAGapOnce(t *testing.T) {
	begin := time.Now()
	j := judge{session: 7}
	j.heard = begin
	j.wait(begin.Add(time.Hour), time.Second) // nothing asked
	j.next(login)
	j.wait(begin.Add(time.Second-1), time.Second)
	if got := j.reasons(); len(got) != 0 {
		t.Errorf("impatient: %q", got)
	}
	j.wait(begin.Add(time.Second), time.Second)
	j.wait(begin.Add(2*time.Second), time.Second)
	if got := j.reasons(); len(got) != 1 || !strings.HasPrefix(got[0], "gap: no answer to 1 of 1") {
		t.Errorf("broken %q, want one gap", got)
	}
}
