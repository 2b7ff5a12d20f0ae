package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// piccoloRun runs a command in this process.
func piccoloRun(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs written
	code = command(args, &out, &errs)
	return code, out.String(), errs.String()
}

// written is what a command has. A connection that it closed may log for a
// moment longer.
type written struct {
	mu  sync.Mutex
	all strings.Builder
}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.Write(b)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// While requests come in from all sides, every look finds the balance.
func TestVerifyWhileItRuns(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := startAllInOne(t, "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--partitions", "3")
	url := regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("k%d", n%50)
				method, path, body := http.MethodPost, fmt.Sprintf("/increment?key=%s&value=%d", key, i-2), ""
				switch n % 10 {
				case 4: // a total that is set changes the sum by what it made different
					method, path, body = http.MethodPut, "/v1/numbers/"+key, fmt.Sprintf(`{"value":%d}`, 1000*i)
				case 5:
					method, path = http.MethodDelete, "/v1/numbers/"+key
				}
				req, err := http.NewRequestWithContext(t.Context(), method, p.api+path, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				if method == http.MethodPut {
					req.Header.Set("Content-Type", "application/json")
				}
				if n%10 == 6 { // and a retry changes nothing
					req.Header.Set("Idempotency-Key", fmt.Sprintf("request-%s-%d", key, i))
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				if res.StatusCode/100 != 2 {
					t.Errorf("%s %s: %s", method, path, res.Status)
				}
				_ = res.Body.Close()
			}
		})
	}
	for range 2 {
		code, stdout, stderr := piccoloRun(t, "verify", "--data", data, "--nats", url, "--json")
		var v verdict
		if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != 0 || !v.OK || !v.Live || v.Sums.Running != 1 {
			t.Fatalf("exit %d, %v, %s, %s", code, err, stdout, stderr)
		}
		if s := v.Sums; s.Published == 0 || s.Accepted != s.InMemory+s.Published || s.Published != s.Backlog+s.Folded {
			t.Errorf("%+v", s)
		}
	}
	cancel()
	clients.Wait()
	if code, stdout, stderr := piccoloRun(t, "verify", "--data", data, "--offline"); code != 1 || !strings.Contains(stderr, "in use by another piccolo") {
		t.Errorf("offline while it runs: exit %d, %s%s", code, stdout, stderr)
	}

	// Once it is quiet, a ledger that counts more than was published is found.
	for quiet, looks := false, 0; !quiet; looks++ {
		code, stdout, stderr := piccoloRun(t, "verify", "--data", data, "--nats", url, "--json")
		if code != 0 || looks == 100 {
			t.Fatalf("exit %d, %s%s", code, stdout, stderr)
		}
		quiet = strings.Contains(stdout, `"backlog": 0,`)
	}
	spoil(t, data, `UPDATE ledger SET increments = increments + 1 WHERE "partition" = 1`)
	if code, stdout, _ := piccoloRun(t, "verify", "--data", data, "--nats", url); code != exitBroken || !strings.Contains(stdout, "the difference is +1") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	spoil(t, data, `UPDATE ledger SET increments = increments - 1 WHERE "partition" = 1`)
	p.stop()

	code, stdout, stderr := piccoloRun(t, "verify", "--data", data, "--offline")
	if code != 0 || !strings.Contains(stdout, "accepted") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr := piccoloRun(t, "verify", "--data", data, "--nats", "nats://127.0.0.1:1"); code != exitBroken || !strings.Contains(stderr, "--offline") {
		t.Errorf("live when it does not run: exit %d, %s", code, stderr)
	}
}

func spoil(t *testing.T, data, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "numbers.db")+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// stopped makes a data directory as a service leaves it that was killed: of
// producer p, batches 1 to 3 are folded, 4 to 6 wait in the stream.
func stopped(t *testing.T, tamper func(jetstream.Stream)) (data string) {
	t.Helper()
	data = t.TempDir()
	server, err := bus.StartServer(bus.ServerOptions{Dir: filepath.Join(data, "jetstream"), Listen: "127.0.0.1:0", MaxBytes: 1 << 24, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	conn, err := server.Connect("test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Provision(t.Context(), bus.StreamOptions{Partitions: 1, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(data, "numbers.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var ledger piccolo.Ledger
	for seq := uint64(1); seq <= 6; seq++ {
		b := piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Seq: seq}, Increments: 10, Deltas: []piccolo.Delta{{Key: "foo", Value: int64(seq)}}}
		if err := conn.Publish(t.Context(), &piccolo.Message{ID: b.BatchID, Keys: 1, Increments: 10, Data: piccolo.AppendBatch(nil, &b)}); err != nil {
			t.Fatal(err)
		}
		if seq > 3 {
			continue
		}
		draft := ledger.Draft()
		draft.Fold(&b)
		_, err := store.Commit(t.Context(), &piccolo.Fold{Deltas: b.Deltas, Accounts: draft.Accounts(), Positions: map[int]piccolo.Position{
			0: {Created: stream.CachedInfo().Created, StreamSeq: seq},
		}})
		if err != nil {
			t.Fatal(err)
		}
		draft.Commit()
	}
	if tamper != nil {
		tamper(stream)
	}
	return data
}

// Whatever is broken on purpose is found, with the difference, and exit code 2.
func TestVerifyFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spoil  string
		tamper func(jetstream.Stream)
		says   string // nothing: it is not broken
	}{
		{name: "nothing"},
		{name: "row edited", spoil: "UPDATE numbers SET value = value + 3", says: `BROKEN +sums[^\n]*\n.*the difference is \+3`},
		{name: "row removed", spoil: "DELETE FROM numbers", says: `the difference is -6`},
		{name: "ledger's sum edited", spoil: "UPDATE ledger SET sum = sum - 1", says: `the difference is \+1`},
		{name: "ledger's seqs edited", spoil: "UPDATE ledger SET watermark = 2", says: `BROKEN +ledger[^\n]*\n.*those of 2 batches, and 3`},
		{name: "table dropped", spoil: "DROP TABLE ledger", says: `BROKEN +schema[^\n]*\n.*table ledger is missing`},
		{name: "batch removed", tamper: remove(5), says: `BROKEN +batches[^\n]*\n.*producer p, partition 0: 1 batches are neither`},
		{name: "last batch removed", tamper: remove(6), says: `BROKEN +stream[^\n]*\n.*1 messages above StreamSeq 3`},
		{name: "next batch removed", tamper: remove(4), says: `1 batches are neither`},
		{name: "folded batch removed", tamper: remove(2)},
		{name: "all removed", tamper: func(s jetstream.Stream) { _ = s.Purge(context.Background()) }, says: `3 messages above StreamSeq 3`},
		{name: "trimmed", tamper: func(s jetstream.Stream) { _ = s.Purge(context.Background(), jetstream.WithPurgeSequence(4)) }},
	} {
		data := stopped(t, c.tamper)
		if c.spoil != "" {
			spoil(t, data, c.spoil)
		}
		code, stdout, stderr := piccoloRun(t, "verify", "--data", data, "--offline")
		if c.says == "" {
			if want := "published 60 = backlog 30 + folded 30\n"; code != 0 || !strings.HasSuffix(stdout, want) || stderr != "" {
				t.Errorf("%s: exit %d, %s%s", c.name, code, stdout, stderr)
			}
			continue
		}
		if code != exitBroken || !regexp.MustCompile(c.says).MatchString(stdout) || !strings.Contains(stderr, "an invariant is broken") {
			t.Errorf("%s: exit %d, %s%s", c.name, code, stdout, stderr)
		}
		if c.spoil == "" {
			continue
		}
		code, stdout, _ = piccoloRun(t, "db", "check", "--data", data)
		if code != exitBroken || !regexp.MustCompile(c.says).MatchString(stdout) {
			t.Errorf("%s: db check: exit %d, %s", c.name, code, stdout)
		}
	}
}

// A database whose pages were overwritten is a finding, not a failure to look.
func TestVerifyOfADamagedDatabase(t *testing.T) {
	t.Parallel()
	for _, from := range []int{0, 2048} { // not even its header is left, or no page but the first
		data := stopped(t, nil)
		path := filepath.Join(data, "numbers.db")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := from; i < len(content); i++ {
			content[i] = 0xa5
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"db", "check"}, {"verify", "--offline"}, {"verify", "--offline", "--quick"}} {
			code, stdout, stderr := piccoloRun(t, append(args, "--data", data)...)
			if code != exitBroken || !regexp.MustCompile(`BROKEN +integrity .*\n +.*(file is not a database|malformed)`).MatchString(stdout) {
				t.Errorf("%v, damaged from byte %d: exit %d, %s%s", args, from, code, stdout, stderr)
			}
		}
	}
}

// A bit that has flipped in the stream's files, in the last batch that a producer
// left, is found, and nothing is done about it: the files are what there is to
// look for the batch in.
func TestVerifyLeavesTheStoreAsItIs(t *testing.T) {
	t.Parallel()
	for _, flipped := range []bool{false, true} {
		data := stopped(t, nil)
		blocks, err := filepath.Glob(filepath.Join(data, "jetstream/jetstream/*/streams/PICCOLO/msgs/*.blk"))
		if err != nil || len(blocks) != 1 {
			t.Fatalf("blocks %q, %v", blocks, err)
		}
		if flipped {
			block, err := os.ReadFile(blocks[0])
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.LastIndex(block, []byte("foo")) // in the sixth batch
			block[at] ^= 1
			if err := os.WriteFile(blocks[0], block, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := filesOf(t, filepath.Join(data, "jetstream"))
		code, stdout, stderr := piccoloRun(t, "verify", "--data", data, "--offline")
		want := `ok +store +every record of the stream can be read\n`
		if flipped {
			want = `BROKEN +store .*\n +[1-9][0-9]* bytes cannot be read`
		}
		if (code == exitBroken) != flipped || !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("flipped %v: exit %d, %s%s", flipped, code, stdout, stderr)
		}
		if !maps.Equal(before, filesOf(t, filepath.Join(data, "jetstream"))) {
			t.Errorf("flipped %v: the files are not what they were", flipped)
		}
	}
}

// A look at the stream that is interrupted leaves no copy of it.
func TestVerifyIsInterrupted(t *testing.T) {
	t.Parallel()
	// Without its last message, the stream's end is waited for.
	data, tmp := stopped(t, remove(6)), t.TempDir()
	cmd := asPiccolo(t, "verify", "--data", data, "--offline")
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	var said written
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	copies := func() int {
		found, _ := filepath.Glob(filepath.Join(tmp, "piccolo-verify-*"))
		return len(found)
	}
	for deadline := time.Now().Add(2 * time.Minute); copies() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if code := outcome(t, cmd.Wait()); code != exitFailed || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("exit %d: %s", code, said.String())
	}
	if n := copies(); n != 0 {
		t.Errorf("%d copies are left", n)
	}
}

// filesOf reads all files in a directory.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(data)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), dir, err)
	}
	return files
}

func remove(seq uint64) func(jetstream.Stream) {
	return func(s jetstream.Stream) { _ = s.DeleteMsg(context.Background(), seq) }
}

// account is a ledger's account of batches 1 to n with 10 increments each.
func account(n uint64) piccolo.Account {
	seqs, err := piccolo.ParseSeqSet(n, "")
	if err != nil {
		panic(err)
	}
	return piccolo.Account{Seqs: seqs, Batches: n, Increments: 10 * n}
}

// What is told of an ingress that runs, for whatever was read first.
func TestReconcile(t *testing.T) {
	t.Parallel()
	o := piccolo.Origin{Producer: "p"}
	for _, c := range []struct {
		name          string
		before, later uint64 // folded, up to
		held          held
		spooled       held
		report        *piccolo.Published
		want          balance
		missing       string
	}{
		{name: "quiet", before: 5, later: 5, report: &piccolo.Published{Accepted: 50, Seq: 5, Increments: 50},
			want: balance{Accepted: 50, Published: 50, Folded: 50}},
		{name: "busy", before: 5, later: 9, held: held{4: 10, 5: 10, 6: 10, 7: 10, 8: 10}, report: &piccolo.Published{Accepted: 77, Seq: 7, Increments: 70},
			want: balance{Accepted: 77, InMemory: 7, Published: 70, Backlog: 20, Folded: 50, BacklogBatches: 2}},
		{name: "trimmed before it was seen", before: 5, later: 7, report: &piccolo.Published{Accepted: 70, Seq: 7, Increments: 70},
			want: balance{inconclusive: true}},
		{name: "the report is old", before: 5, later: 5, report: &piccolo.Published{Accepted: 40, Seq: 4, Increments: 40},
			want: balance{inconclusive: true}},
		{name: "lost", before: 5, later: 5, held: held{7: 10}, report: &piccolo.Published{Accepted: 70, Seq: 7, Increments: 70}, missing: "carry 10 increments"},
		{name: "the last is lost", before: 5, later: 5, report: &piccolo.Published{Accepted: 70, Seq: 7, Increments: 70}, missing: "2 batches are neither"},
		{name: "gone", before: 5, later: 5, held: held{6: 10}, want: balance{Accepted: 60, Published: 60, Backlog: 10, Folded: 50, BacklogBatches: 1}},
		{name: "gone and spooled", before: 5, later: 5, held: held{6: 10}, spooled: held{5: 10, 6: 10, 7: 10},
			want: balance{Accepted: 70, Spooled: 10, Published: 60, Backlog: 10, Folded: 50, BacklogBatches: 1}},
		{name: "counted otherwise", before: 5, later: 5, report: &piccolo.Published{Accepted: 51, Seq: 5, Increments: 51}, missing: "the difference is -1"},
	} {
		e := &evidence{
			audit:   &sqlite.Audit{Accounts: map[piccolo.Origin]piccolo.Account{o: account(c.before)}},
			later:   &sqlite.Audit{Accounts: map[piccolo.Origin]piccolo.Account{o: account(c.later)}},
			stream:  &streamEvidence{held: map[piccolo.Origin]held{o: c.held}, last: math.MaxInt64},
			spooled: map[piccolo.Origin]held{o: c.spooled},
			reports: map[string]piccolo.Published{},
		}
		if c.report != nil {
			e.reports[reportKey(o)] = *c.report
		}
		got := *e.reconcile()
		if found := strings.Join(append(got.missing, got.differences...), "\n"); c.missing != "" {
			if !strings.Contains(found, c.missing) {
				t.Errorf("%s: found %q, want %q", c.name, found, c.missing)
			}
			continue
		}
		c.want.Producers, c.want.Running = got.Producers, got.Running
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What another writer folds is in another database, and not missing here.
func TestReconcileLeavesOutWhatAnotherDatabaseHas(t *testing.T) {
	t.Parallel()
	here, there := piccolo.Origin{Producer: "p"}, piccolo.Origin{Producer: "p", Partition: 1}
	a := &sqlite.Audit{Accounts: map[piccolo.Origin]piccolo.Account{here: account(5)}, Positions: map[int]piccolo.Position{0: {StreamSeq: 9}}}
	e := &evidence{
		audit: a, later: a, stream: &streamEvidence{held: map[piccolo.Origin]held{there: {7: 10}}},
		reports: map[string]piccolo.Published{
			reportKey(here):  {Accepted: 50, Seq: 5, Increments: 50},
			reportKey(there): {Partition: 1, Accepted: 80, Seq: 8, Increments: 80},
		},
	}
	if b := e.reconcile(); len(b.missing)+len(b.differences) > 0 || b.Accepted != 50 || b.Folded != 50 {
		t.Errorf("%+v", b)
	}
}

// The accounts of one service and the database of another are not compared.
func TestVerifyTheDatabaseOfAnother(t *testing.T) {
	t.Parallel()
	var data, url [2]string
	for n := range data {
		data[n] = t.TempDir()
		p := startAllInOne(t, "--data", data[n], "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
		url[n] = regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
		reply, err := http.Post(p.api+"/increment?key=foo&value=1&ack=applied", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
	}
	if code, stdout, stderr := piccoloRun(t, "verify", "--data", data[0], "--nats", url[0]); code != 0 {
		t.Errorf("its own: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr := piccoloRun(t, "verify", "--data", data[0], "--nats", url[1])
	if code != 1 || !strings.Contains(stderr, "is not the service's at "+url[1]) || !strings.Contains(stderr, "belongs to database") {
		t.Errorf("another's: exit code %d\n%s%s", code, stdout, stderr)
	}
}
