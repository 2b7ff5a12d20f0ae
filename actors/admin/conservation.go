package admin

import (
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Conservation follows the increments of the processes that report: accepted =
// in memory + published, and published = backlog + folded + lost. Broken counts
// the increments by which that fails; reports of one moment from several
// processes are a second apart at most, and only what they agree on is compared.
//
// A batch that is lost is one that was published, and is neither in the ledger nor
// in the stream. Of how many increments it carries is known once all is quiet:
// until then they are among those of the backlog.
type Conservation struct {
	Accepted    uint64 `json:"accepted"`
	InMemory    uint64 `json:"in_memory"`
	Published   uint64 `json:"published"`
	Backlog     uint64 `json:"backlog"`
	Folded      uint64 `json:"folded"`
	Lost        uint64 `json:"lost"`         // increments
	LostBatches uint64 `json:"lost_batches"` // of producers that are gone, too
	Broken      uint64 `json:"broken"`
	Followed    bool   `json:"followed"` // a writer reports on every ingress that does
}

// settled is for how long nothing may move before what is missing is lost: in less,
// the reports of who waits for whom may not have come.
const settled = 10 * time.Second

// quiet tells since when nothing has moved.
type quiet struct {
	last  moved
	since time.Time
}

// moved is what changes as long as anything goes on.
type moved struct {
	published, folded uint64  // batches
	backlog           *uint64 // batches in the stream, by what the writers measured; nil where one does not say
}

func (m moved) same(o moved) bool {
	return m.published == o.published && m.folded == o.folded && m.backlog != nil && o.backlog != nil && *m.backlog == *o.backlog
}

// conserve follows what the ingresses accepted. Call it once a second.
func (q *quiet) conserve(all []*process, now time.Time) (c Conservation) {
	folded := foldedOf(all)
	c.Followed = true
	var m moved
	var served map[int]bool
	m.backlog, served, c.LostBatches = measured(all, now)
	for _, p := range all {
		if p.last.Ingress == nil {
			continue
		}
		for _, published := range p.last.Ingress.Published {
			f, ok := folded[piccolo.Origin{Producer: p.last.Ingress.Producer, Partition: published.Partition}]
			if !ok && !p.alive(now) {
				continue // a writer that has started since has never heard of it
			}
			c.Followed = c.Followed && ok
			c.follow(published, f, ok)
			m.published += published.Seq
			m.folded += min(f.Batches, published.Seq)
			if !served[published.Partition] {
				m.backlog = nil
			}
		}
	}
	c.InMemory = c.Accepted - min(c.Published, c.Accepted)
	c.Backlog = c.Published - min(c.Folded, c.Published)
	if !m.same(q.last) || !c.Followed {
		q.last, q.since = m, now
	} else if missing := m.published - m.folded; now.Sub(q.since) >= settled && missing > *m.backlog {
		c.LostBatches = max(c.LostBatches, missing-*m.backlog)
		if *m.backlog == 0 {
			c.Lost, c.Backlog = c.Backlog, 0
		}
	}
	return c
}

// follow adds what one producer published to a partition, and what the ledger has
// of it, if a writer says so.
func (c *Conservation) follow(published piccolo.Published, f piccolo.FoldedProducer, ok bool) {
	switch {
	case !ok:
	case f.Watermark == published.Seq && f.Batches == published.Seq:
		// The same batches on both sides: they stand for the same.
		c.Broken += difference(f.Increments, published.Increments)
	case f.Batches <= published.Seq:
		c.Broken += f.Increments - min(f.Increments, published.Increments)
	default: // the writer's report is the younger
		published.Increments = max(published.Increments, f.Increments)
		published.Accepted = max(published.Accepted, published.Increments)
	}
	c.Accepted += published.Accepted
	c.Published += published.Increments
	c.Folded += f.Increments
}

// foldedOf is what the ledgers have of each producer and partition.
func foldedOf(all []*process) map[piccolo.Origin]piccolo.FoldedProducer {
	folded := make(map[piccolo.Origin]piccolo.FoldedProducer)
	for _, p := range all {
		if p.last.Writer == nil {
			continue
		}
		for _, f := range p.last.Writer.Folded {
			o := piccolo.Origin{Producer: f.Producer, Partition: f.Partition}
			if have, ok := folded[o]; !ok || f.Batches > have.Batches { // a writer that was superseded stays behind
				folded[o] = f
			}
		}
	}
	return folded
}

// measured is how many batches the stream holds for the writers, nil where one does
// not say, of which partitions that is, and how many the writers have missed.
func measured(all []*process, now time.Time) (backlog *uint64, served map[int]bool, lost uint64) {
	backlog, served = new(uint64), make(map[int]bool)
	for _, p := range all {
		w := p.last.Writer
		if w == nil || !p.alive(now) {
			continue
		}
		lost += w.Lost
		for _, partition := range w.Partitions {
			served[partition] = true
		}
		if w.Backlog == nil {
			backlog = nil
		} else if backlog != nil {
			*backlog += w.Backlog.Batches
		}
	}
	return backlog, served, lost
}

func difference(a, b uint64) uint64 { return max(a, b) - min(a, b) }
