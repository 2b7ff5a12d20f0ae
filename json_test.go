package piccolo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// by is the name of a batch that came without one, on partition 3.
var by = piccolo.BatchID{Producer: "nats-20240229T120000-17", Partition: 3, Seq: 1}

// order4711 is the claim of a=1 and b=-5 under that key. Other languages come
// to the same, so it never changes: printf order-4711 | sha256sum | head -c 32,
// and the sum of xxhsum -H1 of the bytes 01 61 02 and 01 62 09.
var order4711 = piccolo.Claim{
	Token:   piccolo.Token{0x17, 0x3d, 0x0d, 0xdb, 0xff, 0x03, 0x41, 0x93, 0xfa, 0xce, 0x7c, 0xe6, 0x0d, 0x3f, 0x58, 0xb4},
	Payload: 0x162bf7341cae8ff8,
}

func TestDecodeBatchJSON(t *testing.T) {
	noon := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, data string
		want       piccolo.Batch
	}{
		{
			"only deltas, each an increment", `{"deltas":[{"key":"foo","value":10},{"key":"bar","value":-2}]}`,
			piccolo.Batch{BatchID: by, Increments: 2, Deltas: []piccolo.Delta{{Key: "foo", Value: 10}, {Key: "bar", Value: -2}}},
		},
		{
			"everything", `{"producer":"p","partition":3,"seq":7,"increments":5,"accepted":"2024-02-29T12:00:00Z","deltas":[{"key":"é","value":0}]}`,
			piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Partition: 3, Seq: 7}, Increments: 5, Accepted: noon, Deltas: []piccolo.Delta{{Key: "é"}}},
		},
		{
			"producer and seq, on the partition it came on", `{"producer":"p","seq":7}`,
			piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Partition: 3, Seq: 7}},
		},
		{
			"another partition than it came on, for the caller to refuse", `{"partition":4}`,
			piccolo.Batch{BatchID: piccolo.BatchID{Producer: by.Producer, Partition: 4, Seq: 1}},
		},
		{
			"int64's ends", `{"deltas":[{"key":"a","value":9223372036854775807},{"key":"a","value":-9223372036854775808}]}`,
			piccolo.Batch{BatchID: by, Increments: 2, Deltas: []piccolo.Delta{{Key: "a", Value: 1<<63 - 1}, {Key: "a", Value: -1 << 63}}},
		},
		{
			"what sets, which is no increment", `{"deltas":[{"key":"a","value":1},{"key":"b","set":-5},{"key":"c","set":0},{"key":"d","remove":true}]}`,
			piccolo.Batch{BatchID: by, Increments: 1, Deltas: []piccolo.Delta{
				{Key: "a", Value: 1}, {Key: "b", Value: -5, Op: piccolo.OpSet}, {Key: "c", Op: piccolo.OpSet}, {Key: "d", Op: piccolo.OpRemove},
			}},
		},
		{
			"what counts once", `{"onces":[{"idempotency_key":"order-4711","deltas":[{"key":"a","value":1},{"key":"b","value":-5}]}],"deltas":[{"key":"a","value":7}]}`,
			piccolo.Batch{
				BatchID: by, Increments: 3, Deltas: []piccolo.Delta{{Key: "a", Value: 7}},
				Onces: []piccolo.Once{{Claim: order4711, Increments: 2, Deltas: []piccolo.Delta{{Key: "a", Value: 1}, {Key: "b", Value: -5}}}},
			},
		},
		{"a surrogate pair, and an escape that is text", `{"deltas":[{"key":"\ud83d\ude00","value":1},{"key":"\\ud83d","value":1}]}`, piccolo.Batch{BatchID: by, Increments: 2, Deltas: []piccolo.Delta{{Key: "😀", Value: 1}, {Key: `\ud83d`, Value: 1}}}},
		{"accepted before the clock began", `{"accepted":"1960-01-01T00:00:00Z"}`, piccolo.Batch{BatchID: by}},
		{"white space", " { }\n", piccolo.Batch{BatchID: by}},
	} {
		got := piccolo.Batch{Onces: make([]piccolo.Once, 1), Deltas: []piccolo.Delta{{Key: "of the batch before"}}}
		if err := piccolo.DecodeBatchJSON([]byte(tt.data), by, &got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		t.Run(tt.name, func(t *testing.T) { sameBatch(t, got, tt.want) })
	}
}

func TestDecodeBatchJSONRefuses(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"nothing", ``, "EOF"},
		{"no JSON", `foo=10`, "invalid character"},
		{"an array", `[]`, "array"},
		{"more than one object", `{} {}`, "something follows"},
		{"a typing error", `{"delta":[]}`, `unknown field "delta"`},
		{"a typing error in a delta", `{"deltas":[{"key":"a","valeu":1}]}`, `unknown field "valeu"`},
		{"no value", `{"deltas":[{"key":"a"}]}`, "delta 0: value is missing"},
		{"a value that is null", `{"deltas":[{"key":"a","value":null}]}`, "delta 0: value is missing"},
		{"a fraction", `{"deltas":[{"key":"a","value":1.5}]}`, "1.5"},
		{"a value beyond int64", `{"deltas":[{"key":"a","value":9223372036854775808}]}`, "9223372036854775808"},
		{"a value that is text", `{"deltas":[{"key":"a","value":"1"}]}`, "string"},
		{"a value and a set", `{"deltas":[{"key":"a","value":1,"set":1}]}`, "delta 0: it says more than one of value, set and remove"},
		{"a set and a removal", `{"deltas":[{"key":"a","set":1,"remove":true}]}`, "delta 0: it says more than one of"},
		{"no idempotency key", `{"onces":[{"deltas":[{"key":"a","value":1}]}]}`, "once 0: idempotency_key is 0 bytes long"},
		{"an idempotency key too short", `{"onces":[{"idempotency_key":"1234567"}]}`, "once 0: idempotency_key is 7 bytes long"},
		{"a once that sets", `{"onces":[{"idempotency_key":"12345678","deltas":[{"key":"a","set":1}]}]}`, "once 0: delta 0: a once only adds"},
		{"a once without a value", `{"onces":[{"idempotency_key":"12345678","deltas":[{"key":"a"}]}]}`, "once 0: delta 0: value is missing"},
		{"no key", `{"deltas":[{"key":"a","value":1},{"value":1}]}`, "delta 1: key is blank"},
		{"a key with NUL", `{"deltas":[{"key":"\u0000","value":1}]}`, "NUL"},
		{"a key that is not UTF-8", "{\"deltas\":[{\"key\":\"\xff\",\"value\":1}]}", "UTF-8"},
		{"half of a surrogate pair", `{"deltas":[{"key":"\ud800","value":1}]}`, "surrogate"},
		{"two halves in two strings", `{"deltas":[{"key":"\ud83d","value":1},{"key":"\ude00","value":1}]}`, "surrogate"},
		{"a producer without a seq", `{"producer":"p"}`, "seq 0"},
		{"a seq without a producer", `{"seq":1}`, "producer"},
		{"a producer that is no token of a subject", `{"producer":"a.b","seq":1}`, "producer"},
		{"a partition below 0", `{"producer":"p","seq":1,"partition":-1}`, "partition -1"},
		{"a partition too high", `{"producer":"p","seq":1,"partition":1024}`, "partition 1024"},
	} {
		var b piccolo.Batch
		if err := piccolo.DecodeBatchJSON([]byte(tt.data), by, &b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one that says %q", tt.name, err, tt.want)
		}
	}
}
