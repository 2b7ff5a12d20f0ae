package bus

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// duplicateWindow is for how long the stream knows the id of a batch, so that what
// is published again meanwhile costs no fold.
const duplicateWindow = 2 * time.Minute

// contract is a stream's configuration brought to what ingresses and writers
// rely on, and to o; what o leaves out stays as it is. So does what a server never
// changes of a stream that exists, which departs tells of, and whatever else an
// operator has set, such as where the replicas are.
func contract(c jetstream.StreamConfig, o StreamOptions) jetstream.StreamConfig {
	if c.Name == "" {
		c.Name = Stream
		c.Description = "Deltas on their way to the writers"
		c.Storage = jetstream.FileStorage
	}
	if c.Retention != jetstream.WorkQueuePolicy {
		c.Retention = jetstream.LimitsPolicy
	}
	c.Subjects = []string{subjectDeltas + "*"}
	c.Discard = jetstream.DiscardNew // full means refused, never dropped
	c.DiscardNewPerSubject = false
	c.NoAck = false
	c.MaxAge = 0
	c.MaxMsgs, c.MaxMsgsPerSubject, c.MaxMsgSize = -1, -1, -1
	c.Duplicates = duplicateWindow
	if o.MaxBytes != 0 {
		c.MaxBytes = o.MaxBytes
	}
	if o.Replicas != 0 {
		c.Replicas = o.Replicas
	}
	c.Metadata = maps.Clone(c.Metadata)
	if c.Metadata == nil {
		c.Metadata = make(map[string]string)
	}
	c.Metadata[metaPartitions] = strconv.Itoa(o.Partitions)
	c.Metadata[metaVersion] = o.Version
	return c
}

// changes are the settings that contract has changed.
func changes(before, after *jetstream.StreamConfig) (list []Change) {
	for _, s := range []struct {
		name string
		of   func(*jetstream.StreamConfig) any
	}{
		{"subjects", func(c *jetstream.StreamConfig) any { return strings.Join(c.Subjects, " ") }},
		{"retention", func(c *jetstream.StreamConfig) any { return strings.ToLower(c.Retention.String()) }},
		{"discard", func(c *jetstream.StreamConfig) any { return strings.ToLower(c.Discard.String()) }},
		{"discard new per subject", func(c *jetstream.StreamConfig) any { return c.DiscardNewPerSubject }},
		{"no acknowledgements", func(c *jetstream.StreamConfig) any { return c.NoAck }},
		{"most age", func(c *jetstream.StreamConfig) any { return c.MaxAge }},
		{"most messages", func(c *jetstream.StreamConfig) any { return c.MaxMsgs }},
		{"most messages of a partition", func(c *jetstream.StreamConfig) any { return c.MaxMsgsPerSubject }},
		{"largest message in bytes", func(c *jetstream.StreamConfig) any { return c.MaxMsgSize }},
		{"duplicate window", func(c *jetstream.StreamConfig) any { return c.Duplicates }},
		{"most bytes", func(c *jetstream.StreamConfig) any { return c.MaxBytes }},
		{"replicas", func(c *jetstream.StreamConfig) any { return c.Replicas }},
		{"version", func(c *jetstream.StreamConfig) any { return c.Metadata[metaVersion] }},
	} {
		if from, to := s.of(before), s.of(after); from != to {
			list = append(list, Change{s.name, fmt.Sprint(from), fmt.Sprint(to)})
		}
	}
	return list
}

// What to do about a setting, where the server can change it, and where it cannot.
const (
	bringBack = "piccolo stream init sets that right"
	makeAnew  = "delete it when it is empty, and make it with piccolo stream init"
)

// departs says how a stream is not what ingresses and writers rely on.
func departs(c *jetstream.StreamConfig) []string {
	list := []string{}
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	partitions, _ := partitionsOf(c)
	otherRetention := makeAnew
	if c.Retention == jetstream.InterestPolicy {
		otherRetention = bringBack
	}
	add(len(c.Subjects) != 1 || c.Subjects[0] != subjectDeltas+"*",
		"its subjects are %s, not %s*: batches would go astray; %s", strings.Join(c.Subjects, " "), subjectDeltas, bringBack)
	add(c.Storage != jetstream.FileStorage, "it is kept in memory: what was acknowledged is lost with the server; %s", makeAnew)
	add(c.Retention != jetstream.LimitsPolicy,
		"its retention is %s, not limits: nothing could be read again after a database is restored; %s", strings.ToLower(c.Retention.String()), otherRetention)
	add(c.Discard != jetstream.DiscardNew, "it discards old messages when it is full, which were acknowledged; %s", bringBack)
	add(c.MaxAge > 0, "messages go after %s, folded or not; %s", c.MaxAge, bringBack)
	add(c.MaxMsgs > 0, "it takes %d messages at most, where its bytes are to be bounded; %s", c.MaxMsgs, bringBack)
	add(c.MaxMsgsPerSubject > 0, "it takes %d messages of a partition at most; %s", c.MaxMsgsPerSubject, bringBack)
	add(c.MaxMsgSize > 0, "it takes messages of %d bytes at most, and ingresses go by what the server takes: a larger batch would be refused for ever; %s", c.MaxMsgSize, bringBack)
	add(c.MaxBytes <= 0, "its size has no bound, so that a full disk stops it before it can say that it is full; bound it with piccolo stream init --stream-max-bytes")
	add(c.MaxConsumers > 0 && c.MaxConsumers < partitions, "it takes %d consumers at most, and each of the %d partitions needs one; %s", c.MaxConsumers, partitions, makeAnew)
	add(c.PersistMode != jetstream.DefaultPersistMode, "it is written behind its acknowledgements, whatever the server syncs: a power cut loses increments; %s", makeAnew)
	add(c.NoAck, "it acknowledges nothing, so that no reply is ever sent; %s", bringBack)
	add(c.Sealed, "it is sealed: nothing can be stored; %s", makeAnew)
	add(c.DenyPurge && !c.Sealed, "it denies purging: what is folded stays until it is full; %s", makeAnew) // a sealed one does, too
	add(c.Duplicates != duplicateWindow, "its duplicate window is %s, not %s: a batch that is published again after it costs a fold; %s", c.Duplicates, duplicateWindow, bringBack)
	return list
}
