package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// lease is how long players stay when nobody asks them for anything: the daemon may have been killed.
const lease = 15 * time.Second

// mostPlayers bounds those who come by one order.
const mostPlayers = 256

// shadow has the players of rehearsals, and the backends.
type shadow struct {
	net     *Net
	servers *servers

	mu      sync.Mutex
	next    int
	players map[int]*player
	end     *time.Timer
}

func newShadow(n *Net) (*shadow, error) {
	servers, err := newServers(n.servers)
	if err != nil {
		return nil, err
	}
	s := &shadow{net: n, servers: servers, players: map[int]*player{}}
	s.end = time.AfterFunc(lease, s.clear)
	return s, nil
}

func (s *shadow) close() {
	s.end.Stop()
	s.clear()
	s.servers.close()
}

// clear ends all players.
func (s *shadow) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.players {
		p.close()
		delete(s.players, id)
	}
}

// order is what the daemon asks of the players: that so many come, that some leave, or that each sends a message.
type order struct {
	Open int
	End  []int // ids
	All  bool  // all of them leave
	Log  bool  // the servers' log begins anew
}

func (s *shadow) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /shadow/players", func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&o); err != nil || o.Open > mostPlayers {
			http.Error(w, "no order", http.StatusBadRequest)
			return
		}
		reply(w, s.do(r.Context(), o))
	})
	mux.HandleFunc("GET /shadow/served", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.servers.served()) })
}

// do gives those that were opened, or ended, or all that there are, after a message of each.
func (s *shadow) do(ctx context.Context, o order) []Player {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end.Reset(lease)
	if o.Log {
		s.servers.forget()
	}
	switch {
	case o.Open > 0:
		return s.open(ctx, o.Open)
	case o.All:
		return s.leave(slices.Collect(maps.Keys(s.players)))
	case len(o.End) > 0:
		return s.leave(o.End)
	}
	return s.exchange(ctx)
}

func (s *shadow) open(ctx context.Context, n int) (out []Player) {
	for range n {
		p := s.net.newPlayer(ctx, s.next)
		s.players[s.next] = p
		s.next++
		out = append(out, p.Player)
	}
	return out
}

func (s *shadow) exchange(ctx context.Context) (out []Player) {
	var wg sync.WaitGroup
	for _, p := range s.players {
		wg.Go(func() { p.exchange(ctx, s.net) })
	}
	wg.Wait()
	for _, p := range s.players {
		out = append(out, p.Player)
	}
	slices.SortFunc(out, func(a, b Player) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (s *shadow) leave(ids []int) (out []Player) {
	for _, id := range ids {
		if p, there := s.players[id]; there {
			p.close()
			delete(s.players, id)
			out = append(out, p.Player)
		}
	}
	return out
}
