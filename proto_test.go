package piccolo_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// The codec is written by hand; these tests hold it against batch.proto, read
// by a protobuf compiler and spoken by the protobuf library.

var compiled = sync.OnceValues(func() (protoreflect.FileDescriptor, error) {
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{}}
	files, err := compiler.Compile(context.Background(), "batch.proto")
	if err != nil {
		return nil, err
	}
	return files[0], nil
})

// message makes an empty message of a type in batch.proto.
func message(t rapid.TB, name protoreflect.Name) *dynamicpb.Message {
	t.Helper()
	file, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	d := file.Messages().ByName(name)
	if d == nil {
		t.Fatalf("batch.proto has no message %s", name)
	}
	return dynamicpb.NewMessage(d)
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func TestBatchOnTheWireIsThatOfTheProto(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := batches().Draw(t, "batch")
		m := message(t, "Batch")
		if err := proto.Unmarshal(piccolo.AppendBatch(nil, &want), m); err != nil {
			t.Fatal(err)
		}
		if n := len(m.GetUnknown()); n > 0 {
			t.Fatalf("%d bytes are in no field of batch.proto", n)
		}
		sameBatch(t, batchOf(m), want)
	})
}

func TestBatchOfAnyProtobufEncoderIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := batches().Draw(t, "batch")
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(batchMessage(t, want))
		if err != nil {
			t.Fatal(err)
		}
		var got piccolo.Batch
		if err := piccolo.DecodeBatch(data, &got); err != nil {
			t.Fatal(err)
		}
		sameBatch(t, got, want)
	})
}

func TestAppliedOnTheWireIsThatOfTheProto(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := notices().Draw(t, "notice")
		m := message(t, "Applied")
		if err := proto.Unmarshal(piccolo.AppendApplied(nil, &want), m); err != nil {
			t.Fatal(err)
		}
		if n := len(m.GetUnknown()); n > 0 {
			t.Fatalf("%d bytes are in no field of batch.proto", n)
		}
		sameApplied(t, appliedOf(m), want)
	})
}

func TestAppliedOfAnyProtobufEncoderIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := notices().Draw(t, "notice")
		data, err := proto.Marshal(appliedMessage(t, want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := piccolo.DecodeApplied(data)
		if err != nil {
			t.Fatal(err)
		}
		sameApplied(t, got, want)
	})
}

// Fields are only ever added: what a newer program says besides is skipped,
// wherever it stands.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch := batches().Draw(t, "batch")
		m := batchMessage(t, batch)
		m.SetUnknown(unknown().Draw(t, "in the batch"))
		deltas := m.Get(field(m, "deltas")).List()
		for i := range deltas.Len() {
			deltas.Get(i).Message().SetUnknown(unknown().Draw(t, "in a delta"))
		}
		onces := m.Get(field(m, "onces")).List()
		for i := range onces.Len() {
			onces.Get(i).Message().SetUnknown(unknown().Draw(t, "in a once"))
		}
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		data = append(unknown().Draw(t, "in front"), data...)
		var got piccolo.Batch
		if err := piccolo.DecodeBatch(data, &got); err != nil {
			t.Fatal(err)
		}
		sameBatch(t, got, batch)

		notice := notices().Draw(t, "notice")
		am := appliedMessage(t, notice)
		am.SetUnknown(unknown().Draw(t, "in the notice"))
		if data, err = proto.Marshal(am); err != nil {
			t.Fatal(err)
		}
		applied, err := piccolo.DecodeApplied(append(unknown().Draw(t, "in front"), data...))
		if err != nil {
			t.Fatal(err)
		}
		sameApplied(t, applied, notice)
	})
}

// unknown draws fields whose numbers batch.proto does not have, of every wire
// type.
func unknown() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) (b []byte) {
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			num := protowire.Number(rapid.IntRange(8, 5000).Draw(t, "number"))
			switch rapid.IntRange(0, 4).Draw(t, "type") {
			case 0:
				b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), rapid.Uint64().Draw(t, "varint"))
			case 1:
				b = protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), rapid.Uint32().Draw(t, "fixed32"))
			case 2:
				b = protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), rapid.Uint64().Draw(t, "fixed64"))
			case 3:
				b = protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))
			case 4:
				b = protowire.AppendTag(b, num, protowire.StartGroupType)
				b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 1)
				b = protowire.AppendTag(b, num, protowire.EndGroupType)
			}
		}
		return b
	})
}

func batchOf(m protoreflect.Message) piccolo.Batch {
	b := piccolo.Batch{
		BatchID: piccolo.BatchID{
			Producer:  m.Get(field(m, "producer")).String(),
			Partition: int(m.Get(field(m, "partition")).Uint()),
			Seq:       m.Get(field(m, "seq")).Uint(),
		},
		Increments: m.Get(field(m, "increments")).Uint(),
	}
	if us := m.Get(field(m, "accepted_unix_micro")).Int(); us != 0 {
		b.Accepted = time.UnixMicro(us)
	}
	onces := m.Get(field(m, "onces")).List()
	for i := range onces.Len() {
		o := onces.Get(i).Message()
		b.Onces = append(b.Onces, piccolo.Once{
			Claim:      claimOf(o),
			Increments: o.Get(field(o, "increments")).Uint(),
			Deltas:     deltasOf(o),
		})
	}
	b.Deltas = deltasOf(m)
	return b
}

func deltasOf(m protoreflect.Message) (list []piccolo.Delta) {
	deltas := m.Get(field(m, "deltas")).List()
	for i := range deltas.Len() {
		d := deltas.Get(i).Message()
		list = append(list, piccolo.Delta{
			Key:       d.Get(field(d, "key")).String(),
			Value:     d.Get(field(d, "value")).Int(),
			Op:        piccolo.Op(d.Get(field(d, "op")).Enum()),
			WantTotal: d.Get(field(d, "want_total")).Bool(),
		})
	}
	return list
}

func claimOf(m protoreflect.Message) piccolo.Claim {
	return piccolo.Claim{
		Token:   piccolo.Token(m.Get(field(m, "token")).Bytes()),
		Payload: m.Get(field(m, "payload")).Uint(),
	}
}

func batchMessage(t rapid.TB, b piccolo.Batch) *dynamicpb.Message {
	m := message(t, "Batch")
	m.Set(field(m, "producer"), protoreflect.ValueOfString(b.Producer))
	m.Set(field(m, "partition"), protoreflect.ValueOfUint32(uint32(b.Partition)))
	m.Set(field(m, "seq"), protoreflect.ValueOfUint64(b.Seq))
	m.Set(field(m, "increments"), protoreflect.ValueOfUint64(b.Increments))
	if !b.Accepted.IsZero() {
		m.Set(field(m, "accepted_unix_micro"), protoreflect.ValueOfInt64(b.Accepted.UnixMicro()))
	}
	onces := m.Mutable(field(m, "onces")).List()
	for _, once := range b.Onces {
		o := message(t, "Once")
		setClaim(o, once.Claim)
		o.Set(field(o, "increments"), protoreflect.ValueOfUint64(once.Increments))
		setDeltas(t, o, once.Deltas)
		onces.Append(protoreflect.ValueOfMessage(o))
	}
	setDeltas(t, m, b.Deltas)
	return m
}

func setDeltas(t rapid.TB, m *dynamicpb.Message, list []piccolo.Delta) {
	deltas := m.Mutable(field(m, "deltas")).List()
	for _, delta := range list {
		d := message(t, "Delta")
		d.Set(field(d, "key"), protoreflect.ValueOfString(delta.Key))
		d.Set(field(d, "value"), protoreflect.ValueOfInt64(delta.Value))
		d.Set(field(d, "op"), protoreflect.ValueOfEnum(protoreflect.EnumNumber(delta.Op)))
		d.Set(field(d, "want_total"), protoreflect.ValueOfBool(delta.WantTotal))
		deltas.Append(protoreflect.ValueOfMessage(d))
	}
}

func setClaim(m *dynamicpb.Message, c piccolo.Claim) {
	m.Set(field(m, "token"), protoreflect.ValueOfBytes(c.Token[:]))
	m.Set(field(m, "payload"), protoreflect.ValueOfUint64(c.Payload))
}

func appliedOf(m protoreflect.Message) piccolo.Applied {
	a := piccolo.Applied{Partition: int(m.Get(field(m, "partition")).Uint())}
	seqs := m.Get(field(m, "seqs")).List()
	for i := range seqs.Len() {
		a.Seqs = append(a.Seqs, seqs.Get(i).Uint())
	}
	totals := m.Get(field(m, "totals")).List()
	for i := range totals.Len() {
		if a.Totals == nil {
			a.Totals = make(map[string]int64)
		}
		total := totals.Get(i).Message()
		a.Totals[total.Get(field(total, "key")).String()] = total.Get(field(total, "value")).Int()
	}
	conflicts := m.Get(field(m, "conflicts")).List()
	for i := range conflicts.Len() {
		a.Conflicts = append(a.Conflicts, claimOf(conflicts.Get(i).Message()))
	}
	return a
}

func appliedMessage(t rapid.TB, a piccolo.Applied) *dynamicpb.Message {
	m := message(t, "Applied")
	m.Set(field(m, "partition"), protoreflect.ValueOfUint32(uint32(a.Partition)))
	seqs := m.Mutable(field(m, "seqs")).List()
	for _, seq := range a.Seqs {
		seqs.Append(protoreflect.ValueOfUint64(seq))
	}
	totals := m.Mutable(field(m, "totals")).List()
	for key, value := range a.Totals {
		total := message(t, "Total")
		total.Set(field(total, "key"), protoreflect.ValueOfString(key))
		total.Set(field(total, "value"), protoreflect.ValueOfInt64(value))
		totals.Append(protoreflect.ValueOfMessage(total))
	}
	conflicts := m.Mutable(field(m, "conflicts")).List()
	for _, conflict := range a.Conflicts {
		c := message(t, "Claim")
		setClaim(c, conflict)
		conflicts.Append(protoreflect.ValueOfMessage(c))
	}
	return m
}
