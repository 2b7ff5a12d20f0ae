package admin_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// What does not add up is found, and what only seems not to, since reports are
// not of one moment, is not.
func TestConservation(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name            string
		ingress, writer piccolo.Report
		broken          uint64
		followed        bool
	}{
		{"quiet", ingressSays(now, 100, 10, 100), writerSays(now, 10, 100), 0, true},
		{"the writer is behind", ingressSays(now, 100, 10, 100), writerSays(now, 9, 80), 0, true},
		{"the writer's report is younger", ingressSays(now, 100, 10, 100), writerSays(now, 12, 130), 0, true},
		{"counted twice", ingressSays(now, 100, 10, 100), writerSays(now, 10, 101), 1, true},
		{"lost", ingressSays(now, 100, 10, 100), writerSays(now, 10, 95), 5, true},
		{"counted twice while behind", ingressSays(now, 100, 10, 100), writerSays(now, 9, 103), 3, true},
		{"no writer", ingressSays(now, 100, 10, 100), piccolo.Report{ID: "other", At: now}, 0, false},
	} {
		d := admin.NewDeployment()
		d.Take(c.ingress)
		d.Take(c.writer)
		d.Tick(now)
		s, _ := d.Now()
		if s.Conservation.Broken != c.broken || s.Conservation.Followed != c.followed {
			t.Errorf("%s: %+v", c.name, s.Conservation)
		}
	}
}

// A batch that is neither in the ledger nor in the stream is lost, and not in the
// backlog: at once where the writer misses it below others, and otherwise when
// nothing has moved for a while. What a writer still has to fold is not.
func TestConservationOfALostBatch(t *testing.T) {
	for _, c := range []struct {
		name                  string
		watermark, lost       uint64 // of the writer
		backlog               uint64 // that the writer measured, in batches
		moves, silent         bool
		wantLost, wantBatches uint64
		wantBacklog           uint64
		wantAtOnce            uint64
	}{
		{name: "the writer misses it", watermark: 5, lost: 1, wantAtOnce: 1, wantLost: 10, wantBatches: 1},
		{name: "among others to fold", watermark: 5, lost: 1, backlog: 1, wantAtOnce: 1, wantBatches: 1, wantBacklog: 10},
		{name: "it was the last", watermark: 9, wantLost: 10, wantBatches: 1},
		{name: "it is to be folded", watermark: 9, backlog: 1, wantBacklog: 10},
		{name: "something moves", watermark: 9, moves: true, wantBacklog: 10},
		{name: "the writer is silent", watermark: 9, silent: true, wantBacklog: 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := admin.NewDeployment()
			for second := range uint64(15) {
				more := uint64(0)
				if c.moves {
					more = second
				}
				d.Take(ingressSays(time.Now(), 100+10*more, 10+more, 100+10*more))
				if !c.silent || second == 0 {
					w := writerSays(time.Now(), 9+more, 90+10*more)
					w.Writer.Lost, w.Writer.Folded[0].Watermark, w.Writer.Backlog.Batches = c.lost, c.watermark+more, c.backlog
					d.Take(w)
				}
				d.Tick(time.Now())
				if s, _ := d.Now(); second == 3 && (s.Conservation.LostBatches != c.wantAtOnce || s.Conservation.Backlog != 10) {
					t.Errorf("%s, at once: %+v", c.name, s.Conservation)
				}
				time.Sleep(time.Second)
			}
			s, _ := d.Now()
			if got := s.Conservation; got.Lost != c.wantLost || got.LostBatches != c.wantBatches || got.Backlog != c.wantBacklog || got.Broken != 0 || !got.Followed ||
				got.Published != got.Backlog+got.Folded+got.Lost {
				t.Errorf("%s: %+v", c.name, got)
			}
		})
	}
}

// An ingress that is gone is nothing that a writer which has started since could
// speak of: it is left out, rather than taken for a backlog.
func TestConservationAfterAnIngressIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := admin.NewDeployment()
		tick := func(reports ...piccolo.Report) admin.Conservation {
			for _, r := range reports {
				d.Take(r)
			}
			d.Tick(time.Now())
			s, _ := d.Now()
			return s.Conservation
		}
		gone := ingressSays(time.Now(), 100, 10, 100)
		gone.Ended = "stopped"
		stays := ingressSays(time.Now(), 50, 5, 50)
		stays.ID, stays.Host, stays.Ingress.Producer = "j", "other", "q"
		if c := tick(gone, stays, writerSays(time.Now(), 10, 100)); c.Followed {
			t.Errorf("without a word of the other producer: %+v", c)
		}
		w := writerSays(time.Now(), 5, 50)
		w.ID, w.Writer.Folded[0].Producer = "v", "q"
		time.Sleep(5 * time.Second)
		stays.At = time.Now()
		if c, want := tick(stays, w), (admin.Conservation{Accepted: 50, Published: 50, Folded: 50, Followed: true}); c != want {
			t.Errorf("%+v", c)
		}
	})
}
