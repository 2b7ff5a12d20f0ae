package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// doctor runs piccolo doctor in a process of its own, below a shell that first
// does something to it, and expects lines of what it says.
func doctor(t *testing.T, first string, code int, args []string, says ...string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	p := prepare(t, "doctor", args...)
	p.cmd.Args = append([]string{"sh", "-c", first + ` && exec "$0" "$@"`}, p.cmd.Args...)
	p.cmd.Path = sh
	var out bytes.Buffer
	p.cmd.Stdout, p.cmd.Stderr = &out, &out
	err = p.cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit %d, want %d: %s", got, code, out.String())
	}
	for _, line := range says {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(out.String()) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}

// nobody is where no piccolo is, nor anything else.
func nobody(t *testing.T, more ...string) []string {
	return append([]string{"--nats", away, "--data", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0"}, more...)
}

func TestDoctorOfTooFewFiles(t *testing.T) {
	t.Parallel()
	doctor(t, "ulimit -n 1000", exitBroken, nobody(t),
		`warning +files +a process may have 1,000 files open, and each client's connection is one$`, ` +→ ulimit -Hn 65536, or LimitNOFILE=65536 in the unit$`)
}

// A write-ahead log that a reader keeps from starting again at the top.
func TestDoctorOfALargeWAL(t *testing.T) {
	t.Parallel()
	args := nobody(t)
	data := args[3]
	p := prepare(t, "all-in-one", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "off")
	p.run()
	increment(t.Context(), p.api, "foo", 1, "applied")
	path := filepath.Join(data, "numbers.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	var n int
	if err := tx.QueryRow("select count(*) from numbers").Scan(&n); err != nil { // from here on it reads
		t.Fatal(err)
	}
	increment(t.Context(), p.api, "foo", 1, "applied")
	p.stop()
	// What stands behind the last commit is nobody's, so the log is still whole.
	if err := os.Truncate(path+"-wal", 513<<20); err != nil {
		t.Fatal(err)
	}
	doctor(t, "true", exitBroken, args,
		`ok +database `, `warning +database +its write-ahead log is 513.0 MiB$`, ` +→ a reader holds a transaction open: find it with fuser `+regexp.QuoteMeta(path)+`$`)
}

func TestDoctorOfTakenPorts(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	args := nobody(t)
	args[len(args)-1] = silent.Addr().String()
	doctor(t, "true", exitBroken, args,
		`WRONG +ports +`+silent.Addr().String()+` cannot be listened on: .*address already in use$`, ` +→ find who has it with ss -ltnp, or choose another with --listen$`, `ok +ports +127.0.0.1:0 is free \(--admin\)$`)

	// Somebody else's web server where the admin listener is to be.
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(other) }()
	defer func() { _ = server.Close(); <-ended }()
	args = nobody(t)
	args[1] = "nats://" + other.Addr().String()
	doctor(t, "true", exitBroken, args,
		`WRONG +nats +what listens on `+other.Addr().String()+` is no NATS server: `, ` +→ find who has it with ss -ltnp`)
	args[1] = "nats://127.0.0.1:0"
	doctor(t, "true", exitBroken, args, `ok +ports +127.0.0.1:[0-9]+ is free \(--nats-listen\)$`)
	doctor(t, "true", exitBroken, nobody(t, "--admin", other.Addr().String()),
		`WRONG +service +what answers at `+other.Addr().String()+` says 404 Not Found, and is no piccolo's admin listener$`, ` +→ name the admin address of a piccolo with --admin$`)
}

func TestDoctorOfAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("only root may mount: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 2<<20), 0o644); err == nil {
		t.Error("the disk is not full")
	}
	args := nobody(t)
	args[3] = dir
	doctor(t, "true", exitBroken, args, `warning +disk +0 B of 1.0 MiB are free under `+regexp.QuoteMeta(dir)+`$`, ` +→ free some: when it is full, increments wait in memory, or are refused, until there is room$`)
}

// A process with the data directory, whose admin listener is elsewhere.
func TestDoctorOfAnotherAddress(t *testing.T) {
	t.Parallel()
	args := nobody(t, "--admin", "127.0.0.1:1")
	p := prepare(t, "all-in-one", "--data", args[3], "--listen", "127.0.0.1:0", "--nats-listen", "off")
	p.run()
	doctor(t, "true", exitBroken, args, // for the ports
		fmt.Sprintf(`warning +service +nobody answers at 127.0.0.1:1, but process %d works with %s$`, p.cmd.Process.Pid, regexp.QuoteMeta(args[3])), ` +→ name its admin address with --admin: `)
	p.stop()
	if out := strings.TrimSpace(p.all.String()); out == "" {
		t.Error("it logged nothing")
	}
}

// After a power cut the number of the process before may be another program's.
func TestDoctorAfterAPowerCut(t *testing.T) {
	t.Parallel()
	args := nobody(t)
	if err := os.Mkdir(args[3], 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(args[3], "running"), "")
	writeFile(t, filepath.Join(args[3], "lock"), "1\n")
	doctor(t, "true", exitBroken, args, `WRONG +service +nobody answers at 127.0.0.1:0; the last one with `+regexp.QuoteMeta(args[3])+` was killed or lost power$`)
}

// Where the database is on a disk of its own, that is looked at, too.
func TestDoctorOfTheDatabasesDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("only root may mount: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	doctor(t, "true", exitBroken, nobody(t, "--db", filepath.Join(dir, "numbers.db")), `warning +disk +1.0 MiB of 1.0 MiB are free under `+regexp.QuoteMeta(dir)+`$`)
}

// Who may not look at the data directory is told that, and of no crash, no damage
// and no backup: of a service that is well they would be no more than guesses.
func TestDoctorMayNotLook(t *testing.T) {
	t.Parallel()
	first := "true"
	if os.Getuid() == 0 { // who may look at everything
		if _, err := exec.LookPath("setpriv"); err != nil {
			t.Skip("no setpriv, which takes that from root: apt-get install util-linux")
		}
		first = `exec setpriv --bounding-set=-dac_override,-dac_read_search "$0" "$@"`
	}
	args := nobody(t)
	data := args[3]
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"running", "lock", "numbers.db"} {
		writeFile(t, filepath.Join(data, name), "")
	}
	chmod := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	hidden := func(name, path string) string {
		return `warning +` + name + ` +` + regexp.QuoteMeta(path) + ` cannot be looked at: permission denied\n +→ run this as root, or as the user that the service has$`
	}
	chmod(data, 0)
	t.Cleanup(func() { _ = os.Chmod(data, 0o755) })
	doctor(t, first, exitBroken, args, // for the NATS server that is not there
		`warning +service +nobody answers at 127.0.0.1:0$`, hidden("data", data), hidden("database", filepath.Join(data, "numbers.db")), hidden("spool", filepath.Join(data, "spool")))

	// The directory is open, and the files are not.
	chmod(data, 0o755)
	chmod(filepath.Join(data, "lock"), 0)
	chmod(filepath.Join(data, "numbers.db"), 0)
	doctor(t, first, exitBroken, args, `warning +service +nobody answers at 127.0.0.1:0$`, hidden("data", data), hidden("database", filepath.Join(data, "numbers.db")))
}
