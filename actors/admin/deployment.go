package admin

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
)

const (
	kept   = 10 * time.Minute // how far back points go
	silent = 4 * time.Second  // after which a process counts as silent
	gone   = 5 * time.Minute  // after which a silent process is forgotten

	// maxProcesses bounds what is kept, whoever reports.
	maxProcesses = 1000
)

// Deployment is what all processes report, taken together: a point a second for
// the plots, and the state of each process.
type Deployment struct {
	mu        sync.Mutex
	since     time.Time
	processes map[string]*process // by id
	points    []Point             // oldest first
	snapshot  Snapshot
	quiet     quiet
	changed   chan struct{} // closed, and made anew, with every point
}

// process is what is known of one process, and how fast its counts grow.
type process struct {
	before, last piccolo.Report
	heard        time.Time // when last came
}

// Point is one second of the deployment. Rates are a second, times in
// milliseconds; a time is null where nothing was timed.
type Point struct {
	At int64 `json:"t"` // Unix time in ms

	Memory  float64 `json:"memory"` // replies by the ack that held
	Stored  float64 `json:"stored"`
	Applied float64 `json:"applied"`
	Refused float64 `json:"refused"` // replies with 4xx and 5xx

	Accepted  float64 `json:"accepted"`  // increments
	Published float64 `json:"published"` // increments
	Batches   float64 `json:"batches"`   // published
	Deltas    float64 `json:"deltas"`    // published
	Bytes     float64 `json:"bytes"`     // published
	Folded    float64 `json:"folded"`    // increments
	Rows      float64 `json:"rows"`
	Commits   float64 `json:"commits"`

	BatchGear *float64 `json:"batch_gear"` // increments per batch
	RowGear   *float64 `json:"row_gear"`   // increments per row

	Reply     Times `json:"reply"`
	Flush     Times `json:"flush"`
	Commit    Times `json:"commit"`
	Freshness Times `json:"freshness"`

	Backlog      *uint64 `json:"backlog"`       // batches
	BacklogBytes *uint64 `json:"backlog_bytes"` // in the stream
	InMemory     uint64  `json:"in_memory"`     // increments accepted and not published
	Keys         int64   `json:"keys"`          // kept by ingresses
}

// Times are two quantiles, in ms.
type Times struct {
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
}

// Snapshot is the deployment as it is now.
type Snapshot struct {
	Point        Point         `json:"point"`
	Processes    []Process     `json:"processes"`
	Hottest      []piccolo.Hot `json:"hottest"`
	Conservation Conservation  `json:"conservation"`
	Unserved     []int         `json:"unserved"` // partitions of which no writer reports
}

// Process is one line of the list of processes.
type Process struct {
	ID       string   `json:"id"`
	Role     string   `json:"role"`
	Host     string   `json:"host"`
	PID      int      `json:"pid"`
	Version  string   `json:"version"`
	Started  int64    `json:"started"` // Unix time in ms
	API      string   `json:"api"`
	Admin    string   `json:"admin"`
	Silent   float64  `json:"silent"`   // seconds, 0 while it reports
	Ended    string   `json:"ended"`    // "stopped", or "failed, " and why; empty while it runs
	EndedAt  int64    `json:"ended_at"` // Unix time in ms, 0 for never
	Unready  string   `json:"unready"`
	Warning  string   `json:"warning"`
	Error    string   `json:"error"`
	ErrorAt  int64    `json:"error_at"` // Unix time in ms, 0 for never
	Accepted float64  `json:"accepted"` // increments a second
	Folded   float64  `json:"folded"`   // increments a second
	InMemory uint64   `json:"in_memory"`
	Backlog  *uint64  `json:"backlog"`   // of its partitions
	Fresh    *float64 `json:"freshness"` // p99 in ms
	Parts    []int    `json:"partitions"`
}

// NewDeployment makes a deployment of which nothing has been heard.
func NewDeployment() *Deployment {
	return &Deployment{since: time.Now(), processes: make(map[string]*process), changed: make(chan struct{})}
}

// Take takes in a report. One of a process that nobody has heard of is left out
// where there are a thousand already.
func (d *Deployment) Take(r piccolo.Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.processes[r.ID]
	switch {
	case p == nil:
		d.replace(&r)
		if len(d.processes) < maxProcesses {
			d.processes[r.ID] = &process{before: r, last: r, heard: time.Now()}
		}
	case younger(&r, &p.last):
		p.before, p.last, p.heard = p.last, r, time.Now()
	}
}

// younger says whether a was made after b, by the same process. Its wall clock may
// have been set back meanwhile; only a version that says nothing else is told by
// that.
func younger(a, b *piccolo.Report) bool {
	if a.Up == 0 || b.Up == 0 {
		return a.At.After(b.At)
	}
	return a.Up > b.Up
}

// replace forgets whoever was, before it ended, where a process is that has just
// been heard of.
func (d *Deployment) replace(r *piccolo.Report) {
	for id, p := range d.processes {
		if !p.alive(time.Now()) && p.last.Host == r.Host && p.last.Role == r.Role && p.last.Admin == r.Admin {
			delete(d.processes, id)
		}
	}
}

// Origins are the producers and partitions of the ingresses that report.
func (d *Deployment) Origins() (origins []piccolo.Origin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.processes {
		if in := p.last.Ingress; in != nil {
			for _, published := range in.Published {
				origins = append(origins, piccolo.Origin{Producer: in.Producer, Partition: published.Partition})
			}
		}
	}
	return origins
}

// Tick makes a point of what has been reported. Call it once a second.
func (d *Deployment) Tick(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, p := range d.processes {
		if now.Sub(p.heard) > gone {
			delete(d.processes, id)
		}
	}
	all := d.sorted()
	s := Snapshot{Point: point(all, now), Processes: []Process{}, Hottest: hottestOf(all, now), Conservation: d.quiet.conserve(all, now), Unserved: []int{}}
	if now.Sub(d.since) > silent { // before that, some may not have been heard yet
		s.Unserved = unserved(all, now)
	}
	for _, p := range all {
		s.Processes = append(s.Processes, p.line(now))
	}
	d.snapshot = s
	d.points = append(d.points, s.Point)
	if old := len(d.points) - int(kept/time.Second); old > 0 {
		d.points = slices.Delete(d.points, 0, old)
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// Now returns the last snapshot, and a channel that is closed when there is
// another.
func (d *Deployment) Now() (Snapshot, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.snapshot, d.changed
}

// Points returns the points that are kept, oldest first.
func (d *Deployment) Points() []Point {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.points)
}

// sorted are the processes, those that stand first in the pipeline first.
func (d *Deployment) sorted() []*process {
	all := make([]*process, 0, len(d.processes))
	for _, p := range d.processes {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *process) int {
		return cmp.Or(strings.Compare(a.last.Role, b.last.Role), strings.Compare(a.last.Host, b.last.Host),
			a.last.Started.Compare(b.last.Started), strings.Compare(a.last.ID, b.last.ID))
	})
	return all
}

// alive says whether the process still reports.
func (p *process) alive(now time.Time) bool { return p.last.Ended == "" && now.Sub(p.heard) < silent }

// span is between the last two reports, in seconds; 0 where there is but one.
func (p *process) span() float64 {
	if p.before.Up == 0 {
		return p.last.At.Sub(p.before.At).Seconds()
	}
	return (p.last.Up - p.before.Up).Seconds()
}

// rate is by how much a count grew a second.
func (p *process) rate(now, before uint64) float64 {
	if span := p.span(); span > 0 && now > before {
		return float64(now-before) / span
	}
	return 0
}

func point(all []*process, now time.Time) Point {
	pt := Point{At: now.UnixMilli()}
	var reply, flush, commit, freshness piccolo.Spread
	since := func(sum, now, before *piccolo.Spread) {
		s := now.Since(before)
		sum.Add(&s)
	}
	var youngest time.Time
	for _, p := range all {
		if !p.alive(now) {
			continue
		}
		if in, before := p.last.Ingress, p.before.Ingress; in != nil && before != nil {
			for kind, n := range in.Replies {
				rate := p.rate(n, before.Replies[kind])
				switch kind {
				case piccolo.AckMemory.String():
					pt.Memory += rate
				case piccolo.AckStored.String():
					pt.Stored += rate
				case piccolo.AckApplied.String():
					pt.Applied += rate
				default:
					if strings.HasPrefix(kind, "4") || strings.HasPrefix(kind, "5") {
						pt.Refused += rate
					}
				}
			}
			a, b := sumOf(in.Published), sumOf(before.Published)
			pt.Accepted += p.rate(a.Accepted, b.Accepted)
			pt.Published += p.rate(a.Increments, b.Increments)
			pt.Batches += p.rate(a.Seq, b.Seq)
			pt.Deltas += p.rate(in.Deltas, before.Deltas)
			pt.Bytes += p.rate(in.Bytes, before.Bytes)
			pt.InMemory += a.Accepted - min(a.Increments, a.Accepted)
			pt.Keys += in.Keys
			since(&reply, &in.Reply, &before.Reply)
			since(&flush, &in.Flush, &before.Flush)
		}
		if w, before := p.last.Writer, p.before.Writer; w != nil && before != nil {
			pt.Folded += p.rate(w.Increments, before.Increments)
			pt.Rows += p.rate(w.Rows, before.Rows)
			pt.Commits += p.rate(w.Commits, before.Commits)
			since(&commit, &w.Commit, &before.Commit)
			since(&freshness, &w.Freshness, &before.Freshness)
			if w.Backlog != nil {
				if pt.Backlog == nil {
					pt.Backlog = new(uint64)
				}
				*pt.Backlog += w.Backlog.Batches
				if p.heard.After(youngest) { // every writer tells of all of the stream
					youngest = p.heard
					pt.BacklogBytes = &w.Backlog.Bytes
				}
			}
		}
	}
	pt.BatchGear, pt.RowGear = ratio(pt.Published, pt.Batches), ratio(pt.Folded, pt.Rows)
	pt.Reply, pt.Flush, pt.Commit, pt.Freshness = times(&reply), times(&flush), times(&commit), times(&freshness)
	return pt
}

func sumOf(published []piccolo.Published) (sum piccolo.Published) {
	for _, p := range published {
		sum.Accepted += p.Accepted
		sum.Increments += p.Increments
		sum.Seq += p.Seq
	}
	return sum
}

func ratio(a, b float64) *float64 {
	if b == 0 {
		return nil
	}
	r := a / b
	return &r
}

func times(s *piccolo.Spread) Times {
	if s.Count() == 0 {
		return Times{}
	}
	p50, p99 := milliseconds(s.Quantile(.5)), milliseconds(s.Quantile(.99))
	return Times{&p50, &p99}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (p *process) line(now time.Time) Process {
	r := &p.last
	l := Process{
		ID: r.ID, Role: r.Role, Host: r.Host, PID: r.PID, Version: r.Version, Started: r.Started.UnixMilli(),
		API: r.API, Admin: r.Admin, Unready: r.Unready, Warning: r.Warning, Error: r.Error, Parts: []int{},
	}
	if !r.ErrorAt.IsZero() {
		l.ErrorAt = r.ErrorAt.UnixMilli()
	}
	switch {
	case r.Ended != "":
		l.Ended, l.EndedAt = r.Ended, r.At.UnixMilli()
	case !p.alive(now):
		l.Silent = now.Sub(p.heard).Seconds()
	}
	if in, before := r.Ingress, p.before.Ingress; in != nil && before != nil {
		a, b := sumOf(in.Published), sumOf(before.Published)
		l.InMemory = a.Accepted - min(a.Increments, a.Accepted)
		if p.alive(now) {
			l.Accepted = p.rate(a.Accepted, b.Accepted)
		}
	}
	if w, before := r.Writer, p.before.Writer; w != nil && before != nil {
		l.Parts = append(l.Parts, w.Partitions...)
		if w.Backlog != nil {
			l.Backlog = &w.Backlog.Batches
		}
		if p.alive(now) {
			l.Folded = p.rate(w.Increments, before.Increments)
			s := w.Freshness.Since(&before.Freshness)
			l.Fresh = times(&s).P99
		}
	}
	return l
}

// hottestOf merges what the writers say. Each key is one writer's.
func hottestOf(all []*process, now time.Time) []piccolo.Hot {
	hottest := []piccolo.Hot{}
	for _, p := range all {
		if p.last.Writer != nil && p.alive(now) {
			hottest = append(hottest, p.last.Writer.Hottest...)
		}
	}
	slices.SortStableFunc(hottest, func(a, b piccolo.Hot) int { return cmp.Compare(b.Moved, a.Moved) })
	return hottest[:min(len(hottest), reportedKeys)]
}

// unserved are the partitions of which no writer reports, of as many as there
// are.
func unserved(all []*process, now time.Time) []int {
	served, of := make(map[int]bool), 0
	for _, p := range all {
		if !p.alive(now) {
			continue
		}
		of = max(of, p.last.Of)
		if p.last.Writer != nil {
			for _, partition := range p.last.Writer.Partitions {
				served[partition] = true
			}
		}
	}
	partitions := []int{}
	for partition := range of {
		if !served[partition] {
			partitions = append(partitions, partition)
		}
	}
	return partitions
}
