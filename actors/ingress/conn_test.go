package ingress

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a connection that remembers its deadlines.
type recorder struct {
	net.Conn
	read, write time.Time
	sets        int
}

func (r *recorder) Read([]byte) (int, error)    { return 0, nil }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }

func (r *recorder) SetReadDeadline(t time.Time) error {
	r.read, r.sets = t, r.sets+1
	return nil
}

func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.write, r.sets = t, r.sets+1
	return nil
}

// Whoever reads or writes has the deadline that was asked for, or one that is
// a little earlier; never a later one, and never none.
func TestDeadlinesAreSetWhereTheyAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under := new(recorder)
		c := &conn{Conn: under, heard: true}
		const idle, read, write = 2 * time.Minute, 30 * time.Second, 20 * time.Second
		within := func(what string, got time.Time, limit time.Duration) {
			t.Helper()
			if left := time.Until(got); left > limit || left <= limit-deadlineSlack {
				t.Fatalf("%s ends in %s, want %s", what, left, limit)
			}
		}
		const requests = 1000
		for i := range requests {
			_ = c.SetReadDeadline(time.Now().Add(idle))
			_, _ = c.Read(nil)
			within("waiting for a request", under.read, idle)
			_ = c.SetReadDeadline(time.Now().Add(read))
			if i%100 == 0 { // the rest of the request is still to come
				_, _ = c.Read(nil)
				within("reading a request", under.read, read)
			}
			_ = c.SetWriteDeadline(time.Now().Add(write))
			_, _ = c.Write(nil)
			within("writing the reply", under.write, write)
			time.Sleep(5 * time.Millisecond)
		}
		if most := 2*requests*5/1000 + 2*requests/100 + 4; under.sets > most {
			t.Errorf("%d deadlines were set in %d requests, want at most %d", under.sets, requests, most)
		}
		_ = c.SetDeadline(time.Time{})
		_, _ = c.Read(nil)
		_, _ = c.Write(nil)
		if !under.read.IsZero() || !under.write.IsZero() {
			t.Errorf("deadlines %s and %s stand, none was asked for", under.read, under.write)
		}
	})
}
