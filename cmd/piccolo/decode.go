package main

import (
	"encoding/binary"
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
	Sum        int64          `json:"sum"` // of the deltas, modulo 2^64
	Deltas     []decodedDelta `json:"deltas"`
}

type decodedDelta struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
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
	d := decodedBatch{Producer: b.Producer, Partition: b.Partition, Seq: b.Seq, Increments: b.Increments, Sum: b.Sum(), Deltas: []decodedDelta{}}
	if !b.Accepted.IsZero() {
		accepted := b.Accepted.UTC()
		d.Accepted = &accepted
	}
	for _, delta := range b.Deltas {
		d.Deltas = append(d.Deltas, decodedDelta{delta.Key, delta.Value})
	}
	if c.JSON {
		return printJSON(out.stdout, d)
	}
	return d.print(out.stdout)
}

func (d *decodedBatch) print(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "batch %s, partition %d: %s increments in %s deltas, sum %+d\n",
		piccolo.BatchID{Producer: d.Producer, Partition: d.Partition, Seq: d.Seq}, d.Partition,
		grouped(d.Increments), grouped(len(d.Deltas)), d.Sum)
	if d.Accepted != nil {
		fmt.Fprintf(&text, "oldest accepted %s\n", d.Accepted.Format("2006-01-02 15:04:05.000000 MST"))
	}
	width := 0
	for _, delta := range d.Deltas {
		width = max(width, len(fmt.Sprintf("%+d", delta.Value)))
	}
	for _, delta := range d.Deltas {
		fmt.Fprintf(&text, "  %+*d  %s\n", width, delta.Value, visible(delta.Key))
	}
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
