package piccolo

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Report is what a process tells the others of itself, once a second. Its counts
// are since the process started, so that one that gets lost is made up for by
// the next.
type Report struct {
	ID      string        `json:"id"`   // of the process, random per start; as CheckProducer has it
	Role    string        `json:"role"` // all-in-one, ingress or writer
	Version string        `json:"version"`
	Host    string        `json:"host"`
	PID     int           `json:"pid"`
	Started time.Time     `json:"started"`
	At      time.Time     `json:"at"`
	Up      time.Duration `json:"up,omitempty"` // since the start, by a clock that nobody sets: it orders the reports; 0 from one that does not say
	Of      int           `json:"of,omitempty"` // how many partitions the stream has, as the process knows it; 0 from one that does not say
	API     string        `json:"api,omitempty"`
	Admin   string        `json:"admin,omitempty"`
	Sync    string        `json:"sync,omitempty"`    // of one with a NATS server inside: when that fsyncs
	Unready string        `json:"unready,omitempty"` // which checks fail, and why
	Warning string        `json:"warning,omitempty"` // what is worth knowing besides
	Error   string        `json:"error,omitempty"`   // the last that was logged
	ErrorAt time.Time     `json:"error_at,omitzero"`
	Ended   string        `json:"ended,omitempty"` // in its last report: how it ended

	Ingress *IngressReport `json:"ingress,omitempty"`
	Writer  *WriterReport  `json:"writer,omitempty"`
}

// IngressReport is the part of a process that takes increments.
type IngressReport struct {
	Producer  string            `json:"producer"`
	Published []Published       `json:"published"` // by partition
	Replies   map[string]uint64 `json:"replies"`   // by the ack that held, or the status of a refusal
	Keys      int64             `json:"keys"`      // kept in memory
	Deltas    uint64            `json:"deltas"`    // published
	Bytes     uint64            `json:"bytes"`     // published
	Retries   uint64            `json:"retries"`
	Flush     Spread            `json:"flush"` // from sealed to acknowledged
	Reply     Spread            `json:"reply"` // from a request read to its reply made, of one in eight
}

// Published is one partition's way through an ingress: what was accepted, and
// how much of that the stream has acknowledged.
type Published struct {
	Partition  int    `json:"partition"`
	Accepted   uint64 `json:"accepted"`   // increments
	Seq        uint64 `json:"seq"`        // every batch up to it is in the stream
	Increments uint64 `json:"increments"` // in those
}

// WriterReport is the part of a process that folds.
type WriterReport struct {
	Partitions  []int            `json:"partitions"`
	Folded      []FoldedProducer `json:"folded"` // of producers that report
	Commits     uint64           `json:"commits"`
	Batches     uint64           `json:"batches"`    // folded
	Duplicates  uint64           `json:"duplicates"` // batches that came again
	Increments  uint64           `json:"increments"` // folded
	Rows        uint64           `json:"rows"`
	Quarantined uint64           `json:"quarantined"` // deltas that went in
	Released    uint64           `json:"released"`    // deltas that came out
	Rejected    uint64           `json:"rejected"`
	Lost        uint64           `json:"lost"` // batches
	Rewinds     uint64           `json:"rewinds"`
	Commit      Spread           `json:"commit"`
	Freshness   Spread           `json:"freshness"`
	WALBytes    int64            `json:"wal_bytes"`
	Backlog     *Backlog         `json:"backlog,omitempty"` // nil where the stream cannot be asked
	Hottest     []Hot            `json:"hottest,omitempty"`
}

// FoldedProducer is what the ledger has of one producer and partition.
type FoldedProducer struct {
	Producer   string `json:"producer"`
	Partition  int    `json:"partition"`
	Watermark  uint64 `json:"watermark"`
	Batches    uint64 `json:"batches"`
	Increments uint64 `json:"increments"`
}

// Backlog is what the stream holds for the writers that tell of it, and of all.
type Backlog struct {
	Batches  uint64 `json:"batches"`  // of these partitions, stored and not acked
	Messages uint64 `json:"messages"` // in the stream
	Bytes    uint64 `json:"bytes"`    // in the stream
	MaxBytes int64  `json:"max_bytes"`
}

// Hot is a key whose value moves much.
type Hot struct {
	Key   string  `json:"key"`
	Moved float64 `json:"moved"` // by how much a second, up and down alike
	Value *int64  `json:"value,omitempty"`
}

const (
	maxReport = 1 << 20 // bytes: what a NATS server takes by default
	maxTold   = 4 << 10 // bytes of each text in a report
)

// DecodeReport reads a report. Whoever may publish can make one, so what others
// rely on holds in it: the id is one, partitions are between 0 and MaxPartitions,
// Up is not negative. Texts are cut to 4 KiB: an error may be long, and the
// process that has it is still to be seen.
func DecodeReport(data []byte) (r Report, err error) {
	if len(data) > maxReport {
		return r, fmt.Errorf("report: %d bytes are more than %d", len(data), maxReport)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("report: %w", err)
	}
	if err := r.check(); err != nil {
		return r, fmt.Errorf("report: %w", err)
	}
	for _, text := range []*string{&r.Role, &r.Version, &r.Host, &r.API, &r.Admin, &r.Sync, &r.Unready, &r.Warning, &r.Error, &r.Ended} {
		*text = strings.ToValidUTF8((*text)[:min(len(*text), maxTold)], "")
	}
	return r, nil
}

func (r *Report) check() error {
	if err := CheckProducer(r.ID); err != nil {
		return err
	}
	if r.Up < 0 {
		return fmt.Errorf("it is up for %s", r.Up)
	}
	if r.Of < 0 || r.Of > MaxPartitions {
		return fmt.Errorf("%d partitions are not between 0 and %d", r.Of, MaxPartitions)
	}
	var partitions []int
	if in := r.Ingress; in != nil {
		if err := CheckProducer(in.Producer); err != nil {
			return err
		}
		for _, p := range in.Published {
			partitions = append(partitions, p.Partition)
		}
	}
	if w := r.Writer; w != nil {
		partitions = append(partitions, w.Partitions...)
		for _, f := range w.Folded {
			partitions = append(partitions, f.Partition)
		}
	}
	for _, p := range partitions {
		if p < 0 || p >= MaxPartitions {
			return fmt.Errorf("partition %d is not between 0 and %d", p, MaxPartitions-1)
		}
	}
	return nil
}
