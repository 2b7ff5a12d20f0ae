package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Check says whether server and JetStream are healthy. A disk that is full or
// fails shows here: publishers then get no reply at all. That all is well may
// have been found up to healthyFor ago.
func (s *Server) Check(ctx context.Context) error {
	if !s.ns.JetStreamEnabled() {
		return errors.Join(errors.New("JetStream has stopped"), s.log.last())
	}
	return s.health.ask(func() error { return s.examine(ctx) })
}

// examine asks the server, which offers its health to HTTP only.
func (s *Server) examine(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil)
	if err != nil {
		return err
	}
	reply := recorder{status: http.StatusOK, header: make(http.Header)}
	s.ns.HandleHealthz(&reply, req)
	if reply.status == http.StatusOK {
		return nil
	}
	var status struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(reply.body.Bytes(), &status)
	return errors.Join(fmt.Errorf("embedded NATS server is unhealthy: %s", status.Error), s.log.last())
}

// recorder keeps a reply that is made for HTTP.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// healthyFor is how long a good answer stands: the server reads directories for
// it, which would be a third of what an idle process does if each of those who
// ask once a second had it do so.
const healthyFor = 5 * time.Second

// health remembers that all was well. What was not is asked again each time,
// since it may be over in a moment.
type health struct {
	mu   sync.Mutex
	good time.Time // when it was last said
}

func (h *health) ask(examine func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.good) < healthyFor {
		return nil
	}
	err := examine()
	if err == nil {
		h.good = time.Now()
	}
	return err
}
