package writer_test

import (
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

func (r *rig) progress(want piccolo.Progress) {
	r.t.Helper()
	if got := r.writer.Progress(); got != want {
		r.t.Errorf("progress %+v, want %+v", got, want)
	}
}

// Who has nothing to fold does not wait, and who commits moves on.
func TestProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.pass(time.Minute)
		r.progress(piccolo.Progress{})
		for i := range uint64(3) {
			r.stream.publish(ones(i + 1)...)
			r.pass(time.Second)
			r.progress(piccolo.Progress{Steps: i + 1})
		}
	})
}

// A commit that does not return is seen as work that waits while nothing moves.
func TestProgressOfStuck(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.store.takes = time.Hour
		r.stream.publish(ones(1)...)
		for minutes := range time.Duration(50) {
			r.pass(time.Minute)
			r.progress(piccolo.Progress{Waiting: true})
			if lag := r.writer.Behind(); lag < (minutes+1)*time.Minute {
				t.Errorf("after %d minutes, it is %s behind", minutes+1, lag)
			}
		}
		r.pass(time.Hour)
		r.progress(piccolo.Progress{Steps: 1})
		if lag := r.writer.Behind(); lag != 0 {
			t.Errorf("with all committed, it is %s behind", lag)
		}
		r.store.takes = 0
	})
}

// A disk that is full is waited for: that is no standing still.
func TestProgressOfNoRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.store.ends(outcome{err: piccolo.ErrNoRoom}, outcome{err: piccolo.ErrNoRoom})
		r.stream.publish(ones(1)...)
		r.settle()
		r.progress(piccolo.Progress{Steps: 1, Waiting: true})
		r.pass(time.Minute)
		r.progress(piccolo.Progress{Steps: 3})
	})
}
