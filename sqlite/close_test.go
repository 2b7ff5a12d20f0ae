package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// A store that is closed under a writer's hands lets the commit on its way be
// done, and refuses the next. The race detector has the last word.
func TestCloseWhileCommitting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "numbers.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	committed, under := make(chan int64), make(chan struct{})
	go func() {
		for n := int64(0); ; n++ {
			fold := &piccolo.Fold{Deltas: []piccolo.Delta{{Key: "foo", Value: 1}}}
			if _, err := store.Commit(context.Background(), fold); err != nil {
				committed <- n
				return
			}
			if n == 10 {
				close(under)
			}
		}
	}()
	<-under
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	want := <-committed
	value, _, err := open(t, path).Value(t.Context(), "foo")
	if err != nil || value != want {
		t.Errorf("foo is %d (%v), want %d", value, err, want)
	}
}
