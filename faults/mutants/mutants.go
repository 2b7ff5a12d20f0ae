package main

// mutant is one way to break the service: a text of a file replaced by another.
type mutant struct {
	name     string
	breaks   string // the promise that no longer holds
	file     string
	old, new string
	tests    []string // arguments of go test
}

var (
	root    = []string{"."}
	ingress = []string{"./actors/ingress"}
	writer  = []string{"./actors/writer"}
	store   = []string{"./sqlite"}
	stream  = []string{"./bus"}
)

var mutants = []mutant{
	{
		name: "ack-before-commit", breaks: "the ack comes after the commit",
		file:  "actors/writer/writer.go",
		old:   "	crashpoint.Here(\"commit.before\")\n",
		new:   "	for _, m := range w.unfolded {\n		_ = m.Acker.Ack()\n	}\n	crashpoint.Here(\"commit.before\")\n",
		tests: writer,
	},
	{
		name: "ledger-not-written", breaks: "numbers and ledger change in one transaction",
		file:  "sqlite/fold.go",
		old:   "range fold.Accounts {",
		new:   "range map[piccolo.Origin]*piccolo.Account{} {",
		tests: store,
	},
	{
		name: "ledger-ignored", breaks: "a batch that comes again is not counted again",
		file:  "ledger.go",
		old:   "	if !a.Seqs.Add(b.Seq) {\n		return false\n	}",
		new:   "	a.Seqs.Add(b.Seq)",
		tests: root,
	},
	{
		name: "watermark-alone", breaks: "the ledger is a watermark and the set above it",
		file:  "ledger.go",
		old:   "	if s.Contains(seq) {\n		return false\n	}",
		new:   "	if s.Contains(seq) {\n		return false\n	}\n	if seq > s.watermark {\n		s.watermark = seq\n		return true\n	}",
		tests: root,
	},
	{
		name: "draft-too-early", breaks: "the ledger in memory follows the database, not the other way",
		file:  "ledger.go",
		old:   "		c := d.ledger.Account(o)\n		a = &c",
		new:   "		a = d.ledger.accounts[o]\n		if a == nil {\n			a = new(Account)\n		}",
		tests: root,
	},
	{
		name: "retry-renamed", breaks: "the same bytes under the same id until they are acknowledged",
		file:  "actors/ingress/flusher.go",
		old:   "		if retries == 0 {\n",
		new:   "		m.ID.Seq++\n		if retries == 0 {\n",
		tests: ingress,
	},
	{
		name: "retry-given-up", breaks: "a batch whose outcome is unknown is published until it is known",
		file:  "actors/ingress/flusher.go",
		old:   "		if err == nil {\n			if retries > 0 {",
		new:   "		if err == nil || retries > 0 {\n			if retries > 0 {",
		tests: ingress,
	},
	{
		name: "reply-before-ack", breaks: "no 200 before the stream has it",
		file:  "actors/ingress/flusher.go",
		old:   "		m := f.seal(p)\n",
		new:   "		m := f.seal(p)\n		stored := p.stored\n		p.stored = make(chan struct{})\n		close(stored)\n",
		tests: ingress,
	},
	{
		name: "sealed-and-joined", breaks: "nothing joins a batch that is sealed",
		file:  "actors/ingress/reducer.go",
		old:   "			e.batch, e.delta, e.total = nil, 0, false\n",
		new:   "			e.delta, e.total = 0, false\n",
		tests: ingress,
	},
	{
		name: "reducer-wraps", breaks: "a sum that leaves int64 is never wrapped, in memory",
		file:  "piccolo.go",
		old:   "	return sum, (sum > a) == (b > 0)\n",
		new:   "	return sum, true\n",
		tests: root,
	},
	{
		name: "table-not-strict", breaks: "a value is never turned into a REAL",
		file:  "sqlite/schema.sql",
		old:   "    value INTEGER NOT NULL DEFAULT 0\n) STRICT, WITHOUT ROWID;",
		new:   "    value INTEGER NOT NULL DEFAULT 0\n) WITHOUT ROWID;",
		tests: store,
	},
	{
		name: "quarantine-keeps", breaks: "a value is exact whenever its true total fits",
		file:  "sqlite/fold.go",
		old:   "	case total.IsInt64():",
		new:   "	case total.IsInt64() && len(held) == 0:",
		tests: store,
	},
	{
		name: "fence-open", breaks: "one writer per database",
		file:  "sqlite/fold.go",
		old:   "	if epoch != tx.store.epoch {",
		new:   "	if epoch < 0 {",
		tests: store,
	},
	{
		name: "unknown-retried", breaks: "a commit whose outcome is unknown ends the process",
		file:  "actors/writer/writer.go",
		old:   "		if !errors.Is(err, piccolo.ErrNoRoom) && !errors.Is(err, piccolo.ErrLocked) {\n			return err",
		new:   "		if err == nil || errors.Is(err, piccolo.ErrFenced) {\n			return err",
		tests: writer,
	},
	{
		name: "trim-early", breaks: "nothing is trimmed before it is committed and acked",
		file:  "actors/writer/partition.go",
		old:   "	w.trim(ctx, p, state.AckFloor)\n",
		new:   "	w.trim(ctx, p, state.LastSeq)\n",
		tests: writer,
	},
	{
		name: "gap-trimmed", breaks: "nothing is trimmed while the ledger misses a batch",
		file:  "actors/writer/partition.go",
		old:   "	if w.lost(ctx, p, state) {\n		return nil\n	}\n",
		new:   "	w.lost(ctx, p, state)\n",
		tests: writer,
	},
	{
		name: "rollback-unnoticed", breaks: "a stream that was rolled back is noticed",
		file:  "actors/writer/partition.go",
		old:   "	case s.LastSeq < p.position.StreamSeq:",
		new:   "	case s.LastSeq < p.position.StreamSeq && false:",
		tests: writer,
	},
	{
		name: "spool-forgotten", breaks: "a stopped ingress leaves nothing behind",
		file:  "actors/ingress/ingress.go",
		old:   "		errs = append(errs, spool.put(messages))",
		new:   "		_ = spool.put",
		tests: ingress,
	},
	{
		name: "receipt-off-by-one", breaks: "a receipt names the batch that carries the increment",
		file:  "actors/ingress/reducer.go",
		old:   "	return e.batch, nil\n",
		new:   "	if next := e.batch.next.Load(); next != nil {\n		return next, nil\n	}\n	return r.advance(e.batch), nil\n",
		tests: ingress,
	},
	{
		name: "budget-ignored", breaks: "memory is bounded, 503 comes before counting",
		file:  "actors/ingress/reducer.go",
		old:   "	if b.used.Add(1) > b.max {",
		new:   "	if b.used.Add(1) > b.max<<20 {",
		tests: ingress,
	},
	{
		name: "full-counts", breaks: "a full stream refuses before anything is counted",
		file:  "actors/ingress/flusher.go",
		old:   "			f.state.CompareAndSwap(nil, &full)",
		new:   "			_ = full",
		tests: ingress,
	},
	{
		name: "sync-off", breaks: "every acknowledgement follows an fsync",
		file:  "bus/server.go",
		old:   "!o.Lazy,",
		new:   "false,",
		tests: stream,
	},
	{
		name: "old-dropped", breaks: "a full stream refuses new messages and drops none",
		file:  "bus/provision.go",
		old:   "jetstream.DiscardNew,",
		new:   "jetstream.DiscardOld,",
		tests: stream,
	},
	{
		name: "given-up", breaks: "a batch is delivered until it is acked",
		file:  "bus/consume.go",
		old:   "MaxDeliver:    -1,",
		new:   "MaxDeliver:    3,",
		tests: stream,
	},
	{
		name: "drain-skipped", breaks: "a stop has in the database what was acknowledged",
		file:  "actors/writer/writer.go",
		old:   "			return w.drain()",
		new:   "			return nil",
		tests: writer,
	},
	{
		name: "last-flush-skipped", breaks: "a stop stores what was counted in memory",
		file:  "actors/ingress/flusher.go",
		old:   "		p := f.head\n",
		new:   "		select {\n		case <-stop:\n			return left\n		default:\n		}\n		p := f.head\n",
		tests: ingress,
	},
}
