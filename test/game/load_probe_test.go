package game

import (
	"context"
	"testing"
	"time"
)

func TestLoadProbe(t *testing.T) {
	l, w, at := mustServe(t)
	f := NewFleet(l.Client)
	b := time.Now()
	f.Add(context.Background(), 1000, Role{Endpoints: at[:2], StateTick: 200 * time.Millisecond})
	t.Log("logged in after", time.Since(b))
	f.Exchange(10)
	t.Log("10 exchanged after", time.Since(b))
	d, err := l.Drops()
	t.Log(d, err)
	b = time.Now()
	f.Logout(1000)
	t.Log("logout took", time.Since(b))
	t.Log(f.Totals().Broken, len(w.Faults())); t.Log(l.Drops())
}
