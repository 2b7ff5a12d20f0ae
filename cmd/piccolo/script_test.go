package main

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/leak"
	"github.com/piccolo-counter/piccolo/internal/port"
	"github.com/piccolo-counter/piccolo/sqlite"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"piccolo": main})
}

// tidy finds goroutines that the tests left.
type tidy struct{ *testing.M }

func (m tidy) Run() int { return leak.Main(m.M) }

// The command line, as whoever types it sees it: a script for each subject.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"database": database,
			"encode":   encode,
			"exits":    exits,
			"listen":   listen,
			"lock":     lock,
			"lockdb":   lockDB,
			"nats":     startNATS,
			"serve":    serve,
			"own":      own,
			"moved":    moved,
			"publish":  publish,
		},
	})
}

// exits CODE PROGRAM ARG… runs a program and checks its exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%q: exit code %d, want %d", args[1:], got, want)
	}
}

// listen NAME takes a port, and puts its address into the environment.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// lock DIR takes a data directory, as another process.
func lock(ts *testscript.TestScript, _ bool, args []string) {
	unlock, err := lockDir(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(unlock)
}

// database DIR [PARTITIONS] makes a data directory with a database, for a stream of
// so many.
func database(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	store, err := sqlite.Open(context.Background(), filepath.Join(ts.MkAbs(args[0]), "numbers.db"))
	ts.Check(err)
	if len(args) > 1 {
		partitions, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(store.SetPartitions(context.Background(), partitions))
	}
	ts.Check(store.Close())
}

// lockdb PATH takes a database, as another process.
func lockDB(ts *testscript.TestScript, _ bool, args []string) {
	unlock, err := lockDatabase(ts.MkAbs(args[0]), nil)
	ts.Check(err)
	ts.Defer(unlock)
}

// own NATS PARTITION ID makes a partition that of a database.
func own(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := bus.Connect(bus.Remote{URL: ts.Getenv(args[0])}, "owner", slog.New(slog.DiscardHandler))
	ts.Check(err)
	defer conn.Close()
	conn.Own(args[2], false)
	partition, err := strconv.Atoi(args[1])
	ts.Check(err)
	stop, err := conn.Subscribe(context.Background(), partition, func(piccolo.Delivery) {}, func(error) {})
	ts.Check(err)
	stop()
}

// moved NATS PARTITION DATABASE makes a partition that of the database at a path, by
// a move that what is there knows nothing of.
func moved(ts *testscript.TestScript, _ bool, args []string) {
	store, err := sqlite.Open(context.Background(), ts.MkAbs(args[2]))
	ts.Check(err)
	defer store.Close()
	conn, err := bus.Connect(bus.Remote{URL: ts.Getenv(args[0])}, "mover", slog.New(slog.DiscardHandler))
	ts.Check(err)
	defer conn.Close()
	partition, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(conn.Assign(context.Background(), partition, store.ID(), piccolo.NewProducer()))
}

// nats NAME runs a NATS server, and puts its URL into the environment, and as
// NAME_SECRET one with a password, for which the server does not ask.
func startNATS(ts *testscript.TestScript, _ bool, args []string) {
	server, err := bus.StartServer(bus.ServerOptions{
		Dir: filepath.Join(ts.Getenv("WORK"), ".nats"), Listen: "127.0.0.1:0", MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler),
	})
	ts.Check(err)
	ts.Defer(server.Shutdown)
	ts.Setenv(args[0], server.URL())
	ts.Setenv(args[0]+"_SECRET", strings.Replace(server.URL(), "://", "://u:s3cret@", 1))
}

// publish URL SUBJECT JSON stores a batch by hand.
func publish(ts *testscript.TestScript, _ bool, args []string) {
	nc, err := nats.Connect(args[0])
	ts.Check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	ts.Check(err)
	_, err = js.PublishMsg(context.Background(), &nats.Msg{
		Subject: args[1], Header: nats.Header{"Content-Type": {"application/json"}}, Data: []byte(args[2]),
	})
	ts.Check(err)
}

// encode JSON FILE [spool] writes a batch in its wire form, as a message or as a
// file of the spool.
func encode(ts *testscript.TestScript, _ bool, args []string) {
	var b piccolo.Batch
	ts.Check(piccolo.DecodeBatchJSON([]byte(ts.ReadFile(args[0])), piccolo.BatchID{}, &b))
	data := piccolo.AppendBatch(nil, &b)
	if len(args) > 2 {
		data = binary.BigEndian.AppendUint64(data, piccolo.Hash(data))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}

// serve NAME FLAG… runs the service, and puts the URL of its API into the
// environment.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	addr := port.Free(ts)
	binary, err := exec.LookPath("piccolo") // testscript puts it into the PATH of all
	ts.Check(err)
	cmd := exec.Command(binary, append([]string{"all-in-one", "--data", filepath.Join(ts.Getenv("WORK"), ".service"),
		"--listen", addr, "--admin", "127.0.0.1:0", "--nats-listen", "off"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + addr + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the service is not ready after 2 min")
		}
	}
	ts.Setenv(args[0], "http://"+addr)
}
