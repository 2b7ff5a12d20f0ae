package ingress

import "sync"

// silent are the connections on which nothing has come yet. Many clients open
// some in advance. The server takes one for busy in its first seconds, and a
// stop would wait for a request that nobody sends.
type silent struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func (s *silent) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*conn]struct{})
	}
	s.conns[c] = struct{}{}
}

func (s *silent) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// close closes them. Each removes itself.
func (s *silent) close() {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}
