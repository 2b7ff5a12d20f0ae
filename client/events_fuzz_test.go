package client

import (
	"bytes"
	"io"
	"reflect"
	"testing"
	"testing/iotest"
)

// Whatever a stream says and however it comes in, it is read alike; and where it
// is cut, what was told before is what would have been told.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"retry: 1000\n\nevent: reset\ndata: {}\n\ndata: {\"key\":\"k\",\"value\":7}\n\nevent: live\nid: a.1\ndata: {}\n\n",
		": \n\nid: a.2\r\ndata:{\"key\":\"k\",\"deleted\":true}\r\n\r\n", "data\n\n", "id\n\n", "data: x\n\n", "\n\n\n", "event: reset\n\n",
	} {
		f.Add([]byte(seed), uint16(len(seed)/2))
	}
	f.Fuzz(func(t *testing.T, stream []byte, at uint16) {
		whole, last, err := told(bytes.NewReader(stream))
		bytewise, lastBytewise, errBytewise := told(iotest.OneByteReader(bytes.NewReader(stream)))
		if !reflect.DeepEqual(whole, bytewise) || last != lastBytewise || (err == nil) != (errBytewise == nil) {
			t.Errorf("%+v, at %q, %v; byte by byte %+v, at %q, %v", whole, last, err, bytewise, lastBytewise, errBytewise)
		}
		if bytes.ContainsRune(stream, '\r') {
			return // a cut between the two ends of a line makes it another line
		}
		cut, _, _ := told(bytes.NewReader(stream[:min(int(at), len(stream))]))
		if len(cut) > len(whole) || len(cut) > 0 && !reflect.DeepEqual(cut, whole[:len(cut)]) {
			t.Errorf("%+v before the cut, %+v in all", cut, whole)
		}
	})
}

// told is what a stream tells, and the Last-Event-ID after it.
func told(stream io.Reader) (events []Event, last string, err error) {
	w := &watch{yield: func(e Event, _ error) bool {
		events = append(events, e)
		return true
	}}
	err = w.read(stream, func() {})
	return events, w.last, err
}
