package faults_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// piccolo runs a command against the deployment's server.
func (p *parts) piccolo(env []string, args ...string) (string, error) {
	command := exec.Command(binary, append(args, "--nats", "nats://"+p.nats.nats)...)
	command.Env = append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// must runs a command that has to succeed.
func (p *parts) must(args ...string) {
	p.nats.t.Helper()
	if out, err := p.piccolo(nil, args...); err != nil {
		p.nats.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// movePoints are the moments between the steps of a move.
var movePoints = []string{"move.received", "move.assigned"}

// A system of two partitions in one database grows to four, while nobody
// counts; then two of them move to a database of their own, in commands that are
// killed between their steps and given again, while an ingress goes on counting.
// Every total is exact, every key in one database.
func TestGrowAndMove(t *testing.T) {
	t.Parallel()
	p := newParts(t, 2)
	b := newBook()
	p.writer.start()
	p.ingress.start()
	l := p.ingress.load(b, 6, "stored", "applied")
	l.await(p.ingress, counted, 200)
	if out, err := p.piccolo(nil, "stream", "repartition", "--partitions=4"); err == nil || !strings.Contains(out, "stop ingress on ") {
		t.Errorf("the stream grew while an ingress was running: %v\n%s", err, out)
	}
	l.stop()
	p.ingress.stop()
	p.writer.kill() // with what it has fetched
	if out, err := p.piccolo(nil, "stream", "repartition", "--partitions=3"); err == nil || !strings.Contains(out, "multiple") {
		t.Errorf("from 2 partitions to 3: %v\n%s", err, out)
	}
	if out, err := p.piccolo(nil, "stream", "repartition", "--partitions=4"); err != nil {
		// What the writer had fetched and not acked is not left behind.
		if !strings.Contains(out, "not folded") {
			t.Errorf("repartition: %v\n%s", err, out)
		}
		p.writer.start()
		p.writer.stop()
		p.must("stream", "repartition", "--partitions=4")
	}

	p.ingress.start() // nobody folds yet
	l = p.ingress.load(b, 6, "stored")
	l.await(p.ingress, counted, 200)
	p.writer.start()
	l.await(p.ingress, counted, 200)
	second := newWriter(t, p.nats.nats, "--partition=1,3")
	second.database = filepath.Join(p.writer.data, "second.db")
	if out, err := p.piccolo(nil, "stream", "move", "--partition=1", "--from", p.writer.database, "--to", second.database); err == nil || !strings.Contains(out, "in use by another piccolo") {
		t.Errorf("a partition moved under its writer: %v\n%s", err, out)
	}
	p.writer.stop()
	for partition, die := range map[string]string{"1": movePoints[0], "3": movePoints[1]} {
		move := []string{"stream", "move", "--partition=" + partition, "--from", p.writer.database, "--to", second.database}
		if out, err := p.piccolo([]string{"PICCOLO_CRASHPOINT=" + die}, move...); err == nil {
			t.Errorf("the command did not die at %s\n%s", die, out)
		}
		if die == movePoints[0] { // the original still counts, and goes on
			p.writer.args = []string{"--partition=0-2"}
			p.writer.start()
			l.await(p.ingress, counted, 50)
			p.writer.kill()
		}
		said := " belongs to " // a copy was made
		if die == movePoints[1] {
			said = " belonged to " // it had been
		}
		for range 2 { // the second time is nothing
			if out, err := p.piccolo(nil, move...); err != nil || !strings.Contains(out, "partition "+partition+said+second.database) {
				t.Errorf("move: %v, want it to say %q\n%s", err, said, out)
			}
			said = " belonged to "
		}
	}
	p.writer.args = []string{"--partition=0,2"}
	p.writer.start()
	second.start()
	l.await(p.ingress, counted, 200)
	l.stop()
	p.ingress.stop()
	b.settled()
	first, sure := p.writer, 0
	sure, _, _ = b.totals()
	first.until("all is folded", func() bool {
		return first.contents().increments+second.contents().increments >= sure
	})
	p.ingress.start()
	all := merge(t, first.contents(), second.contents())
	for key, value := range all.numbers {
		if got, err := p.ingress.number(key); err != nil || got != value {
			t.Errorf("the ingress says that %s is %d, %v; the database has %d", key, got, err, value)
		}
	}
	for _, s := range []*service{first, second} {
		s.zero("piccolo_lost_batches_total", "piccolo_rejected_messages_total", "piccolo_stream_rewinds_total")
		s.contents().check(t)
		s.stop()
	}
	f := measure(t, beyond, "a stream that grows, partitions that move, the move killed between its steps")
	f.Times = 3
	f.check(b, all)
	if all.increments != sure {
		t.Errorf("%d increments folded, want %d", all.increments, sure)
	}

	// Whoever brings the wrong database is told so.
	first.args = []string{"--partition=1"}
	first.launch()
	if code := first.wait(); code != 1 || !first.logged("piccolo stream move") {
		t.Errorf("a writer with another database exited with %d", code)
	}
}
