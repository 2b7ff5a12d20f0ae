package faults_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// answer is the reply to an increment.
type answer struct {
	status  int
	Ack     string `json:"ack"`
	Receipt string `json:"receipt"`
	Value   *int64 `json:"value"`
	Counted int    `json:"counted"`
	Detail  string `json:"detail"`
}

// sendOnce sends a body under an Idempotency-Key. One that starts with a brace
// is NDJSON for /v1/increments, any other a form for /increment.
func (s *service) sendOnce(idempotency, ack, body string) (a answer) {
	s.t.Helper()
	path, kind := "/increment", "application/x-www-form-urlencoded"
	if strings.HasPrefix(body, "{") {
		path, kind = "/v1/increments", "application/x-ndjson"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.api+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Idempotency-Key", idempotency)
	r.Header.Set("Piccolo-Ack", ack)
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(reply.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a.status = reply.StatusCode
	if err := json.Unmarshal(data, &a); err != nil {
		s.t.Fatalf("%s: %s: %v", reply.Status, data, err)
	}
	return a
}

func (a answer) holds(t *testing.T, status int, value int64) {
	t.Helper()
	if a.status != status || a.Ack != "applied" || a.Value == nil || *a.Value != value {
		t.Errorf("%+v: want %d, applied, with value %d", a, status, value)
	}
}

func (a answer) refused(t *testing.T) {
	t.Helper()
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.Detail, "nothing of this request was counted") {
		t.Errorf("%+v: want 422, and that nothing was counted", a)
	}
}

// An Idempotency-Key that one ingress counted comes with other increments
// through another, which never saw it: the writer knows, and still does when
// all of them have been killed and started again.
func TestKeyUsedForSomethingElse(t *testing.T) {
	t.Parallel()
	p := newParts(t, 2, "--ack-timeout=20s")
	p.writer.start()
	p.ingress.start()
	other := newIngress(t, p.nats.nats, "--ack-timeout=20s")
	other.start()
	conflicts := func(want float64) {
		t.Helper()
		// It tells the ingress first, and then counts.
		p.writer.until(fmt.Sprintf("the writer knows of %v conflicts", want), func() bool {
			return p.writer.metric("piccolo_conflicting_requests_total") == want
		})
	}

	const first, changed, many = "key=foo&value=10", "key=foo&value=11", `{"key":"foo","value":10}` + "\n" + `{"key":"foo","value":1}`
	p.ingress.sendOnce("order-0001", "applied", first).holds(t, 200, 10)
	other.sendOnce("order-0001", "applied", changed).refused(t)
	conflicts(1)
	other.sendOnce("order-0001", "applied", many).refused(t)
	// The client that made no mistake is told of its increment.
	other.sendOnce("order-0001", "applied", first).holds(t, 200, 10)
	if a := other.sendOnce("order-0001", "stored", first); a.status != 200 || a.Ack != "stored" {
		t.Errorf("%+v: want 200, stored", a)
	}
	p.ingress.sendOnce("order-0001", "applied", first).holds(t, 200, 10)

	// Who waits for the stream only is not told, and nothing is counted either.
	p.ingress.sendOnce("order-0002", "applied", first).holds(t, 200, 20)
	if a := other.sendOnce("order-0002", "stored", changed); a.status != 200 {
		t.Errorf("%+v: want 200, as documented", a)
	}
	p.quiet()

	for _, s := range []*service{p.ingress, other, p.writer, p.nats} {
		s.kill()
	}
	for _, s := range []*service{p.nats, p.writer, p.ingress, other} {
		s.start()
	}
	for i, door := range []*service{p.ingress, other} {
		door.sendOnce("order-0001", "applied", changed).refused(t)
		conflicts(float64(i + 1))
		door.sendOnce("order-0001", "applied", first).holds(t, 200, 20)
		door.sendOnce("order-0002", "applied", first).holds(t, 200, 20)
	}
	for i := range 3 { // new keys count
		other.sendOnce(fmt.Sprint("order-new-", i), "applied", first).holds(t, 200, int64(30+10*i))
	}

	p.quiet()
	other.stop()
	p.ingress.stop()
	p.writer.stop()
	p.nats.kill()
	db := p.writer.contents()
	db.check(t)
	if db.numbers["foo"] != 50 || db.increments != 5 {
		t.Errorf("foo is %d of %d increments, want 50 of 5", db.numbers["foo"], db.increments)
	}
}
