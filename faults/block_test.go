package faults_test

import (
	bytesorder "encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// blocks are the files that the stream keeps its messages in, oldest first.
func (s *service) blocks() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.jetstream(), "jetstream/$G/streams/PICCOLO/msgs/*.blk"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("the stream has no block files: %v", err)
	}
	slices.Sort(files)
	return files
}

// newest is the block file with the last batches, and what is in it.
func (s *service) newest() (file string, block []byte) {
	s.t.Helper()
	files := s.blocks()
	file = files[len(files)-1]
	block, err := os.ReadFile(file)
	s.must(err)
	return file, block
}

// amidst is an offset within a record in the middle of those in a block file that
// have a number above folded. A record starts with its length, whose highest bit
// says something else, and its number.
func amidst(t *testing.T, block []byte, folded uint64) int64 {
	t.Helper()
	var unfolded []int
	for at := 0; at < len(block); at += int(bytesorder.LittleEndian.Uint32(block[at:]) &^ (1 << 31)) {
		if bytesorder.LittleEndian.Uint64(block[at+4:]) > folded {
			unfolded = append(unfolded, at)
		}
	}
	if len(unfolded) < 3 {
		t.Fatalf("a block of %d bytes has %d batches that are not folded", len(block), len(unfolded))
	}
	return int64(unfolded[len(unfolded)/2] + 9)
}

// damages are done to a block file.
var damages = map[string]func(file string, block []byte, at int64) error{
	"bit flipped": func(file string, block []byte, at int64) error {
		return overwrite(file, block[at]^0x10, at)
	},
	"truncated": func(file string, _ []byte, at int64) error { return os.Truncate(file, at) },
}

// overwrite replaces one byte of a file that may be in use.
func overwrite(file string, b byte, at int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{b}, at)
	return errors.Join(err, f.Close())
}

// The stream's file is damaged in the midst of batches that the writer has not
// folded, while the service is away. What comes before that counts, what comes
// after is lost: the service says how much, counts nothing twice, and goes on
// without skipping anything that is new.
func TestBlockDamaged(t *testing.T) {
	t.Parallel()
	ends := map[string]func(s *service){
		"killed": (*service).kill,
		"stopped": func(s *service) {
			s.signal(syscall.SIGTERM)
			s.wait()
		},
	}
	for damage, do := range damages {
		for end, away := range ends {
			t.Run(damage+", "+end, func(t *testing.T) {
				t.Parallel()
				s := newService(t, "--stop-timeout=2s")
				b := newBook()
				f := measure(t, 6, "block file, "+damage+", between a stop or a kill and a start")
				f.MustLose = true
				s.start()
				s.busy(b, 50)
				unlock := s.lock()
				l := s.loadKeys(b, 4, oneTime(), "stored")
				l.await(s, counted, 300)
				l.stop()
				away(s)
				unlock()
				file, block := s.newest()
				at := amidst(t, block, s.position())
				if err := do(file, block, at); err != nil {
					t.Fatal(err)
				}

				since := time.Now()
				s.start()
				f.Times++
				f.back(s, b, since)
				b.settled()
				s.until("the damage is reported", func() bool { return s.metric("piccolo_stream_damaged_bytes_total") > 0 })
				if !s.logged("could not read a part of the stream") {
					t.Error("the log says nothing of it")
				}
				s.quiet()
				before := s.contents()
				before.check(t)
				f.settle(b, before)
				if f.Doubled > 0 || f.Wrong > 0 {
					t.Errorf("%d increments count twice, %d keys have values of nobody's", f.Doubled, f.Wrong)
				}
				sure, _, _ := b.totals()
				if before.increments >= sure {
					t.Errorf("nothing was lost: of %d increments the database has %d: the test proves nothing", sure, before.increments)
				}
				t.Logf("lost %d of %d increments, with %v bytes reported", sure-before.increments, sure, s.metric("piccolo_stream_damaged_bytes_total"))

				after := newBook()
				for key, value := range before.numbers {
					after.enter(key, func(a *account) { a.sure = value })
				}
				s.busyAfter(after, before, 100)
				s.stop()
			})
		}
	}
}

// busyAfter is busy with a database that has increments which the book does
// not count.
func (s *service) busyAfter(b *book, before *contents, increments int) {
	s.t.Helper()
	l := s.load(b, 4, "stored", "applied", "memory")
	l.await(s, counted, increments)
	l.stop()
	s.quiet()
	b.settled()
	db := s.contents()
	db.increments -= before.increments
	b.check(s.t, db)
}

// The same while the service runs: it has no need of the file yet.
func TestBlockDamagedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	f := measure(t, 6, "block file, bit flipped under load, of what is folded")
	s.start()
	l := s.load(b, 4, "stored", "applied")
	for range 3 {
		l.await(s, counted, 50)
		s.until("a block file is damaged", func() bool {
			files := s.blocks()
			last := files[len(files)-1]
			block, err := os.ReadFile(last)
			// It may be trimmed meanwhile.
			return err == nil && len(block) > 0 && overwrite(last, block[len(block)/2]^1, int64(len(block)/2)) == nil
		})
		f.Times++
	}
	l.await(s, counted, 100)
	l.stop()
	s.quiet()
	b.settled()
	f.check(b, s.contents())
	s.stop()
}
