package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// evidence is what there is of the increments' way: what the database has
// folded, what stream and spool hold, and what the ingresses that run say.
type evidence struct {
	audit *sqlite.Audit
	later *sqlite.Audit // ledger and positions, read after everything else

	stream  *streamEvidence              // nil where there is none to look at
	spooled map[piccolo.Origin]held      // batches in the spool
	reports map[string]piccolo.Published // by producer and partition
}

// streamEvidence is what the stream holds.
type streamEvidence struct {
	held      map[piccolo.Origin]held
	messages  int
	bad       int // messages that are no batches
	created   time.Time
	first     uint64   // StreamSeq
	seen      uint64   // StreamSeq of the last message
	last      uint64   // StreamSeq
	gaps      []uint64 // StreamSeqs between them that are gone
	elsewhere uint64   // acked by writers of partitions that are not in this database

	unreadable uint64 // bytes of its files, where those were read
}

// held are increments by seq.
type held map[uint64]uint64

func put(all map[piccolo.Origin]held, id piccolo.BatchID, increments uint64) {
	if all[id.Origin()] == nil {
		all[id.Origin()] = make(held)
	}
	all[id.Origin()][id.Seq] = increments
}

// balance is what the evidence comes to, in increments.
type balance struct {
	Accepted  uint64 `json:"accepted"`  // by ingresses that run; by others, what is known of
	InMemory  uint64 `json:"in_memory"` // of ingresses that run
	Spooled   uint64 `json:"spooled"`
	Published uint64 `json:"published"`
	Backlog   uint64 `json:"backlog"`
	Folded    uint64 `json:"folded"`

	BacklogBatches uint64 `json:"backlog_batches"`
	Producers      int    `json:"producers"`
	Running        int    `json:"running"` // of the producers

	missing      []string // batches that are nowhere
	differences  []string // of what an ingress says it published
	removed      []string // messages that went from the stream unfolded
	inconclusive bool     // something moved meanwhile: look again
}

func reportKey(o piccolo.Origin) string { return fmt.Sprintf("%s.%d", o.Producer, o.Partition) }

// reconcile follows every producer's batches, by their seqs, which are
// contiguous from 1: each is folded, in the stream, or in the spool. Of an
// ingress that runs it is known how far they go. Of one that is gone, what comes
// after the last batch that is anywhere is not known of; a message that was
// taken out of the stream there still leaves a gap in the stream's own numbers.
func (e *evidence) reconcile() *balance {
	b := new(balance)
	running := make(map[string]bool)
	producers := make(map[string]bool)
	for _, o := range e.origins() {
		producers[o.Producer] = true
		if _, ok := e.reports[reportKey(o)]; ok {
			running[o.Producer] = true
		}
		e.follow(o, b)
	}
	b.Producers, b.Running = len(producers), len(running)
	e.findRemoved(b)
	return b
}

func (e *evidence) origins() (all []piccolo.Origin) {
	seen := make(map[piccolo.Origin]bool)
	add := func(o piccolo.Origin) {
		if !seen[o] && e.owned(o.Partition) {
			seen[o] = true
			all = append(all, o)
		}
	}
	for o := range e.audit.Accounts {
		add(o)
	}
	if e.stream != nil {
		for o := range e.stream.held {
			add(o)
		}
	}
	for o := range e.spooled {
		add(o)
	}
	for key, p := range e.reports {
		add(piccolo.Origin{Producer: strings.TrimSuffix(key, fmt.Sprintf(".%d", p.Partition)), Partition: p.Partition})
	}
	slices.SortFunc(all, func(a, b piccolo.Origin) int {
		return cmp.Or(strings.Compare(a.Producer, b.Producer), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}

// owned says whether a partition is folded into this database: some may be
// another writer's, and are in its own.
func (e *evidence) owned(partition int) bool {
	_, ok := e.later.Positions[partition]
	return ok || len(e.later.Positions) == 0
}

// follow adds one producer's partition to the balance.
func (e *evidence) follow(o piccolo.Origin, b *balance) {
	account := e.audit.Accounts[o]
	report, running := e.reports[reportKey(o)]
	if running && account.Seqs.Max() > report.Seq {
		b.inconclusive = true // the report is older than the ledger
		return
	}
	published := account.Increments
	var waiting []uint64 // seqs of batches that are known of and not folded
	var backlog, spooled uint64
	if e.stream != nil {
		for seq, increments := range e.stream.held[o] {
			if account.Seqs.Contains(seq) || running && seq > report.Seq {
				continue
			}
			waiting = append(waiting, seq)
			backlog += increments
		}
	}
	b.BacklogBatches += uint64(len(waiting))
	for seq, increments := range e.spooled[o] {
		if account.Seqs.Contains(seq) || slices.Contains(waiting, seq) {
			continue // it was stored after all
		}
		waiting = append(waiting, seq)
		spooled += increments
	}
	slices.Sort(waiting)
	published += backlog

	missing := missingOf(account, waiting, report.Seq)
	switch {
	case missing > 0 && missingOf(e.later.Accounts[o], waiting, report.Seq) < missing:
		// Folded, and trimmed, while the stream was read.
		b.inconclusive = true
		return
	case missing > 0 && e.stream == nil && !running:
		// What is missing may be in the stream.
	case missing > 0:
		what := fmt.Sprintf("producer %s, partition %d: %d batches are neither folded, nor in the stream, nor in the spool", o.Producer, o.Partition, missing)
		if running {
			what += fmt.Sprintf("; they carry %s increments", grouped(report.Increments-min(published, report.Increments)))
		}
		b.missing = append(b.missing, what)
	case running && published != report.Increments:
		b.differences = append(b.differences, fmt.Sprintf("producer %s, partition %d: it published %d increments in %d batches, and these batches count %d: the difference is %+d",
			o.Producer, o.Partition, report.Increments, report.Seq, published, int64(published-report.Increments)))
	}
	b.Folded += account.Increments
	b.Backlog += backlog
	b.Spooled += spooled
	if running {
		b.Published += report.Increments
		b.Accepted += report.Accepted
		b.InMemory += report.Accepted - min(report.Increments, report.Accepted)
	} else {
		b.Published += published
		b.Accepted += published + spooled
	}
}

// missingOf counts the seqs up to the last that are neither folded nor waiting.
func missingOf(account piccolo.Account, waiting []uint64, last uint64) uint64 {
	all, _ := piccolo.ParseSeqSet(account.Seqs.Watermark(), account.Seqs.Above()) // a copy: it came from there
	for _, seq := range waiting {
		all.Add(seq)
	}
	return all.Missing() + max(last, all.Max()) - all.Max()
}

// findRemoved finds messages that somebody took out of the stream before they
// were folded. Only what has been folded is trimmed.
func (e *evidence) findRemoved(b *balance) {
	s := e.stream
	if s == nil || len(e.later.Positions) == 0 {
		return
	}
	folded := s.elsewhere
	for _, p := range e.later.Positions {
		if p.Created.UnixMicro() == s.created.UnixMicro() {
			folded = max(folded, p.StreamSeq)
		}
	}
	if folded == 0 {
		return // the positions are in another stream: the writer says so
	}
	removed := 0
	for _, seq := range s.gaps {
		if seq > folded && seq < s.seen {
			removed++
		}
	}
	if end := max(folded, s.seen, s.first-min(s.first, 1)); s.last > end && s.messages > 0 {
		removed += int(s.last - end)
	}
	if first := min(s.first, s.last+1); first > folded+1 {
		removed += int(first - folded - 1)
	}
	if removed > 0 {
		b.removed = append(b.removed, fmt.Sprintf("%d messages above StreamSeq %d, up to which all is folded, are gone from the stream, which goes up to %d", removed, folded, s.last))
	}
}
