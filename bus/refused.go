package bus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A server that does not let a user do something answers nobody: the request
// times out, and the reason comes by itself, on the connection. Here the two
// are brought together, so that a missing permission is an error that says so
// at once.

// RefusedError is the server's refusal to let this user use a subject.
type RefusedError struct {
	Verb    string // "publish" or "subscribe"
	Subject string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the NATS server does not let this user %s to %q: add that to the user's permissions; piccolo auth prints what each role needs", e.Verb, e.Subject)
}

// Refusals as the server words them.
var refusalText = regexp.MustCompile(`(?i)permissions violation for (publish|subscription)(?: with reply)? (?:to|of) "([^"]+)"`)

func parseRefusal(err error) *RefusedError {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	m := refusalText.FindStringSubmatch(err.Error())
	if m == nil {
		return nil
	}
	verb := "publish"
	if strings.EqualFold(m[1], "subscription") {
		verb = "subscribe"
	}
	return &RefusedError{verb, m[2]}
}

// refusals hands what the server refuses to the call that waits for it, and
// tells all of them that the connection was lost.
type refusals struct {
	nc    *nats.Conn
	inbox string // prefix of the subjects that answers come on

	mu      sync.Mutex
	waiting map[*asking]struct{}
	last    *RefusedError
	at      time.Time // of the last
}

// asking is a call that uses subjects, and may be refused.
type asking struct {
	subjects   []string // and those below them
	connection uint64   // that it began on: how often that had been made again
	cancel     context.CancelCauseFunc
}

func (a *asking) uses(subject string) bool {
	for _, s := range a.subjects {
		if subject == s || strings.HasPrefix(subject, s+".") {
			return true
		}
	}
	return false
}

// noted says whether err is a refusal, and ends the calls that it is for.
func (r *refusals) noted(err error) *RefusedError {
	refused := parseRefusal(err)
	if refused == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.at = refused, time.Now()
	for a := range r.waiting {
		if a.uses(refused.Subject) {
			a.cancel(refused)
		}
	}
	return refused
}

// refusalMemory is for how long a refusal speaks against a connection: what
// was refused is tried again more often, as long as it is.
const refusalMemory = 30 * time.Second

// check is the last refusal, if it was of late.
func (r *refusals) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || time.Since(r.at) > refusalMemory {
		return nil
	}
	return r.last
}

// asks begins a call that uses subjects, or some below them. done
// ends it, and turns the call's error into the refusal, where that is why.
func (r *refusals) asks(ctx context.Context, subjects ...string) (_ context.Context, done func(*error)) {
	ctx, cancel := context.WithCancelCause(ctx)
	a := &asking{subjects: append(subjects, r.inbox), connection: r.nc.Stats().Reconnects, cancel: cancel}
	r.mu.Lock()
	if r.waiting == nil {
		r.waiting = make(map[*asking]struct{})
	}
	r.waiting[a] = struct{}{}
	r.mu.Unlock()
	return ctx, func(err *error) {
		r.mu.Lock()
		delete(r.waiting, a)
		r.mu.Unlock()
		cause := context.Cause(ctx)
		var refused *RefusedError
		if *err != nil && (errors.As(cause, &refused) || errors.Is(cause, errReconnected)) {
			*err = cause
		}
		cancel(nil)
	}
}

// reconnected ends the calls that began on another connection than the nth:
// what they asked, or the answer, went with it, and they would only wait for
// their deadline.
func (r *refusals) reconnected(nth uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := range r.waiting {
		if a.connection != nth {
			a.cancel(errReconnected)
		}
	}
}

// api is the subject that JetStream takes a request on.
func api(request string) string { return "$JS.API." + request + "." + Stream }

// subscribed returns when the server has taken the subscriptions made so far,
// or with its refusal of one to subject.
func (b *Bus) subscribed(subject string) error {
	if err := b.nc.FlushTimeout(queryTimeout); err != nil {
		return err
	}
	// The refusal comes before the answer to the flush.
	if refused := b.noted(b.nc.LastError()); refused != nil && refused.Subject == subject {
		return refused
	}
	return nil
}
