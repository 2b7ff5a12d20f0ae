package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/piccolo-counter/piccolo"
)

type answer = func(context.Context, piccolo.Query) (piccolo.Answer, error)

func (r *rig) serve(t *testing.T, partition int, a answer) (stop func()) {
	t.Helper()
	stop, err := r.Serve(partition, "1.0.0", a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Partitions(soon(t)); err != nil { // the server knows of it
		t.Fatal(err)
	}
	return stop
}

// byHand asks as an outside program does.
func (r *rig) byHand(t *testing.T, subject, data string) *nats.Msg {
	t.Helper()
	msg, err := r.nc.RequestWithContext(soon(t), subject, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestQueryIsAnsweredByTheWriterOfThePartition(t *testing.T) {
	t.Parallel()
	r := start(t)
	for partition := range 2 {
		r.serve(t, partition, func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
			if q.After != "p.0.1,p.0.2" {
				t.Errorf("after %q", q.After)
			}
			return piccolo.Answer{Numbers: []piccolo.Number{{Key: q.Keys[0], Value: int64(-partition)}}, FreshnessMS: 1.5}, nil
		})
	}
	for partition := range 2 {
		got, err := r.Query(soon(t), partition, piccolo.Query{Keys: []string{"ключ/\x01"}, After: "p.0.1,p.0.2"})
		want := piccolo.Answer{Numbers: []piccolo.Number{{Key: "ключ/\x01", Value: int64(-partition)}}, FreshnessMS: 1.5}
		if !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("partition %d: %+v, %v: want %+v", partition, got, err, want)
		}
	}
}

func TestQueryWithoutAWriter(t *testing.T) {
	t.Parallel()
	r := start(t)
	stop := r.serve(t, 0, nil)
	if _, err := r.Query(soon(t), 1, piccolo.Query{Keys: []string{"foo"}}); err == nil || err.Error() != "no writer serves partition 1" {
		t.Errorf("%v", err)
	}
	stop()
	if _, err := r.Query(soon(t), 0, piccolo.Query{Keys: []string{"foo"}}); err == nil || err.Error() != "no writer serves partition 0" {
		t.Errorf("after stop: %v", err)
	}
}

func TestQueryThatFails(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.serve(t, 0, func(context.Context, piccolo.Query) (piccolo.Answer, error) {
		return piccolo.Answer{}, errors.New("the database is closed")
	})
	if _, err := r.Query(soon(t), 0, piccolo.Query{Keys: []string{"foo"}}); err == nil || err.Error() != "the database is closed" {
		t.Errorf("%v", err)
	}
}

// The writer learns how long the client waits, and waits no longer.
func TestQueryDeadline(t *testing.T) {
	t.Parallel()
	r := start(t)
	left := make(chan time.Duration, 10)
	r.serve(t, 0, func(ctx context.Context, _ piccolo.Query) (piccolo.Answer, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		<-ctx.Done()
		return piccolo.Answer{}, ctx.Err()
	})
	wait := 50 * time.Millisecond
	for ; len(left) == 0; wait *= 2 { // it may be over before the writer is asked
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if _, err := r.Query(ctx, 0, piccolo.Query{Keys: []string{"foo"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	if d := <-left; d > wait/2 {
		t.Errorf("the writer had %s, the client %s", d, wait/2)
	}
}

// It is not told of less than that, however long that is.
func TestQueryHasAllOfItsTime(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.serve(t, 0, func(ctx context.Context, _ piccolo.Query) (piccolo.Answer, error) {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < 59*time.Minute {
			t.Errorf("the writer has %s", time.Until(deadline))
		}
		return piccolo.Answer{}, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := r.Query(ctx, 0, piccolo.Query{After: "p.0.1"}); err != nil {
		t.Error(err)
	}
}

func TestWriterThatSaysItIsLate(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.serve(t, 0, func(context.Context, piccolo.Query) (piccolo.Answer, error) {
		return piccolo.Answer{}, context.DeadlineExceeded
	})
	if _, err := r.Query(soon(t), 0, piccolo.Query{Keys: []string{"foo"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// One query that waits for a batch does not keep the next from its answer.
func TestQueriesAreAnsweredSideBySide(t *testing.T) {
	t.Parallel()
	r := start(t)
	gate := make(chan struct{})
	waits := make(chan struct{})
	r.serve(t, 0, func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
		if q.After != "" {
			close(waits)
			<-gate
		}
		return piccolo.Answer{}, nil
	})
	slow := make(chan error, 1)
	go func() {
		_, err := r.Query(soon(t), 0, piccolo.Query{Keys: []string{"foo"}, After: "p.0.1"})
		slow <- err
	}()
	<-waits
	if _, err := r.Query(soon(t), 0, piccolo.Query{Keys: []string{"bar"}}); err != nil {
		t.Error(err)
	}
	close(gate)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestQueryByHand(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.serve(t, 0, func(ctx context.Context, q piccolo.Query) (piccolo.Answer, error) {
		if deadline, bounded := ctx.Deadline(); !bounded || time.Until(deadline) > 5*time.Second {
			t.Errorf("deadline %s, %t", deadline, bounded)
		}
		return piccolo.Answer{Numbers: []piccolo.Number{{Key: q.Keys[0], Value: 10}}}, nil
	})
	msg := r.byHand(t, "piccolo.query.0", `{"keys":["foo"]}`)
	if got, want := string(msg.Data), `{"numbers":[{"key":"foo","value":10}],"freshness_ms":0}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	msg = r.byHand(t, "piccolo.query.0", `foo`)
	if code, text := msg.Header.Get(micro.ErrorCodeHeader), msg.Header.Get(micro.ErrorHeader); code != "400" || !strings.HasPrefix(text, "query: ") {
		t.Errorf("%s %q, want 400", code, text)
	}
}

// nats micro ls shows the writers.
func TestWritersAreListed(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.serve(t, 1, nil)
	var info micro.Info
	if err := json.Unmarshal(r.byHand(t, "$SRV.INFO.piccolo-writer", "").Data, &info); err != nil {
		t.Fatal(err)
	}
	if info.Name != "piccolo-writer" || info.Version != "1.0.0" || info.Metadata["partition"] != "1" {
		t.Errorf("service %s %s, metadata %v", info.Name, info.Version, info.Metadata)
	}
	if len(info.Endpoints) != 1 || info.Endpoints[0].Subject != "piccolo.query.1" {
		t.Errorf("endpoints %+v", info.Endpoints)
	}
}
