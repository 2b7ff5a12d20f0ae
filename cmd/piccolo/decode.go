package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// decodeCmd reads a message of the stream as people do. The nats command gives
// it on standard input:
//
//	nats stream view PICCOLO --translate "piccolo decode"
type decodeCmd struct {
	File string `arg:"" optional:"" help:"A message, or a file of the spool; standard input where there is none." default:"-" placeholder:"FILE"`
	JSON bool   `name:"json" help:"Print JSON."`
}

// decodedBatch is a batch as decode prints it.
type decodedBatch struct {
	Producer   string         `json:"producer"`
	Partition  int            `json:"partition"`
	Seq        uint64         `json:"seq"`
	Increments uint64         `json:"increments"`
	Accepted   *time.Time     `json:"accepted,omitempty"`
	Sum        int64          `json:"sum"` // of the deltas that add, modulo 2^64
	Onces      []decodedOnce  `json:"onces,omitempty"`
	Deltas     []decodedDelta `json:"deltas"`
}

// decodedDelta says one of value, set, remove, as a batch in JSON does.
type decodedDelta struct {
	Key    string `json:"key"`
	Value  *int64 `json:"value,omitempty"`
	Set    *int64 `json:"set,omitempty"`
	Remove bool   `json:"remove,omitempty"`
}

// decodedOnce is what counts once under a token, the hash of an Idempotency-Key.
type decodedOnce struct {
	Token      string         `json:"token"`
	Increments uint64         `json:"increments"`
	Deltas     []decodedDelta `json:"deltas"`
}

func (c *decodeCmd) Run(out output) error {
	data, err := readFileOrStdin(c.File)
	if err != nil {
		return err
	}
	b, err := decodeMessage(data)
	if err != nil {
		return fmt.Errorf("%w: want a message of stream PICCOLO, as in nats stream view PICCOLO --translate \"piccolo decode\"", err)
	}
	d := decodedBatch{Producer: b.Producer, Partition: b.Partition, Seq: b.Seq, Increments: b.Increments, Sum: b.Sum()}
	if !b.Accepted.IsZero() {
		accepted := b.Accepted.UTC()
		d.Accepted = &accepted
	}
	for _, o := range b.Onces {
		d.Onces = append(d.Onces, decodedOnce{hex.EncodeToString(o.Token[:]), o.Increments, decodedDeltas(o.Deltas)})
	}
	d.Deltas = decodedDeltas(b.Deltas)
	if c.JSON {
		return printJSON(out.stdout, d)
	}
	return d.print(out.stdout)
}

func decodedDeltas(deltas []piccolo.Delta) []decodedDelta {
	list := []decodedDelta{} // not null in JSON
	for _, delta := range deltas {
		d := decodedDelta{Key: delta.Key}
		switch delta.Op {
		case piccolo.OpAdd:
			d.Value = &delta.Value
		case piccolo.OpSet:
			d.Set = &delta.Value
		case piccolo.OpRemove:
			d.Remove = true
		}
		list = append(list, d)
	}
	return list
}

// does is what the delta does to its key, in a few signs.
func (d decodedDelta) does() string {
	switch {
	case d.Value != nil:
		return fmt.Sprintf("%+d", *d.Value)
	case d.Set != nil:
		return fmt.Sprintf("=%d", *d.Set)
	}
	return "removed"
}

func printDeltas(text *strings.Builder, deltas []decodedDelta) {
	width := 0
	for _, delta := range deltas {
		width = max(width, len(delta.does()))
	}
	for _, delta := range deltas {
		fmt.Fprintf(text, "  %*s  %s\n", width, delta.does(), visible(delta.Key))
	}
}

func (d *decodedBatch) print(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "batch %s, partition %d: %s in %s, sum %+d\n",
		piccolo.BatchID{Producer: d.Producer, Partition: d.Partition, Seq: d.Seq}, d.Partition,
		plural(d.Increments, "increment", "increments"), plural(len(d.Deltas), "delta", "deltas"), d.Sum)
	if d.Accepted != nil {
		fmt.Fprintf(&text, "oldest accepted %s\n", d.Accepted.Format("2006-01-02 15:04:05.000000 MST"))
	}
	for _, once := range d.Onces {
		fmt.Fprintf(&text, "once, token %s: %s increments\n", once.Token, grouped(once.Increments))
		printDeltas(&text, once.Deltas)
	}
	if len(d.Onces) > 0 && len(d.Deltas) > 0 {
		text.WriteString("then\n")
	}
	printDeltas(&text, d.Deltas)
	_, err := io.WriteString(w, text.String())
	return err
}

// maxDecoded bounds what decode reads, in bytes: more than any server takes as
// one message.
const maxDecoded = 64 << 20

func readFileOrStdin(file string) ([]byte, error) {
	in := os.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxDecoded+1))
	if err == nil && len(data) > maxDecoded {
		err = fmt.Errorf("more than %d bytes: this is no message", maxDecoded)
	}
	return data, err
}

// decodeMessage reads a batch in either of its forms. A message in JSON that was
// published by hand has no name of its own; its place in the stream, which
// alone could tell, is not known here.
func decodeMessage(data []byte) (b piccolo.Batch, err error) {
	if len(data) == 0 {
		return b, errors.New("the message is empty")
	}
	if data[0] == '{' { // which no protobuf message of this kind starts with
		err = piccolo.DecodeBatchJSON(data, piccolo.BatchID{Producer: "by-hand", Seq: 1}, &b)
		return b, err
	}
	err = piccolo.DecodeBatch(data, &b)
	if end := len(data) - 8; err != nil && end > 0 && binary.BigEndian.Uint64(data[end:]) == piccolo.Hash(data[:end]) {
		err = piccolo.DecodeBatch(data[:end], &b) // a file of the spool ends with its checksum
	}
	return b, err
}
