package sim_test

import "slices"

// What happens to processes, and to the database's file.

func (w *world) startIngress() bool {
	s := pick(w, w.slots)
	if s.producer != nil {
		return false
	}
	s.start()
	return true
}

func (w *world) killIngress() bool {
	p := w.serving()
	if p == nil {
		return false
	}
	p.kill()
	return true
}

func (w *world) stopIngress() bool {
	p := w.serving()
	if p == nil || p.stopping {
		return false
	}
	p.stop()
	return true
}

func (w *world) startWriterIfNone() bool {
	if len(w.writers) > 0 {
		return false
	}
	w.startWriter()
	return true
}

// supersede starts a writer beside one that still runs, and is fenced off.
func (w *world) supersede() bool {
	if len(w.writers) != 1 {
		return false
	}
	w.startWriter()
	return true
}

func (w *world) killWriter() bool {
	if len(w.writers) == 0 {
		return false
	}
	pick(w, w.writers).kill()
	return true
}

// lightFuse has a writer die a few acks, notices or calls from now.
func (w *world) lightFuse() bool {
	if len(w.writers) == 0 {
		return false
	}
	f := pick(w, w.writers)
	f.fuse = 1 + w.rng.IntN(8)
	w.logf("%s has %d things to do before it dies", f.name, f.fuse)
	return true
}

func (w *world) stopWriter() bool {
	if len(w.writers) == 0 {
		return false
	}
	f := pick(w, w.writers)
	if f.stopping || !f.holding && !f.idle() {
		return false
	}
	f.stop()
	return true
}

func (w *world) comeBack() bool { return w.stream.away && w.goAway() }

func (w *world) makeRoom() bool { return w.stream.full && w.fill() }

// backUp copies the database, at a moment when no message is late, and no roll
// back unnoticed: the writer goes by the highest number that the copy has, and
// nothing tells one that was given out again from the one before.
func (w *world) backUp() bool {
	for _, p := range w.db.positions {
		if p.StreamSeq > w.stream.last {
			return false
		}
	}
	for _, m := range w.stream.messages {
		if m.seq <= w.db.positions[m.id.Partition].StreamSeq && !w.db.kept(m) {
			return false
		}
	}
	w.logf("the database is backed up")
	w.backup = w.db.clone()
	return true
}

// restore has the operator put the last backup in place of the database.
func (w *world) restore() bool {
	if w.backup == nil {
		return false
	}
	for _, f := range slices.Clone(w.writers) {
		f.kill()
	}
	w.logf("the backup is restored")
	w.net.acks = nil // nobody takes that long to send one
	w.restored, w.mustRewind = true, false
	commits := w.db.commits
	before := w.backup.model.clone()
	w.db = w.backup.clone()
	w.db.commits = commits
	w.book.restored(before)
	return true
}
