package machine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// computer is what a disk runs in: a container or a virtual machine.
type computer interface {
	// start switches it on.
	start() error
	// cut ends it between two instructions. What it had not yet told its disk to
	// keep is gone.
	cut() error
	// console is what it has printed since it was switched on.
	console() string
}

// console is a file with what a computer has printed.
type console struct{ *os.File }

func newConsole(t *testing.T) console {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return console{f}
}

// String is the end of it.
func (c console) String() string {
	all, err := os.ReadFile(c.Name())
	if err != nil {
		return err.Error()
	}
	return string(all[max(0, len(all)-4000):])
}

// machine is a computer with a disk of its own, as ops/machine/image made it.
type machine struct {
	t        *testing.T
	computer computer
	patience time.Duration // for one thing
	api      string        // URL of its port 3333
	address  string        // of its sshd
	port     string
	key      string // file
}

// newMachine returns a machine that has booted for the first time. Where the
// kernel or who started the test does not let a container do that, and only if
// PICCOLO_SKIP allows it, the test is skipped, and says why.
func newMachine(t *testing.T) *machine {
	t.Helper()
	image := setting(t, "PICCOLO_MACHINE_IMAGE")
	m := &machine{t: t, key: filepath.Join(image, "key")}
	cannot := t.Fatalf
	switch kind := setting(t, "PICCOLO_MACHINE"); kind {
	case "container":
		newContainer(m, image)
		if os.Getenv("PICCOLO_SKIP") != "" {
			cannot = t.Skipf
		}
	case "virtual":
		newVirtual(m, image)
	default:
		t.Fatalf("PICCOLO_MACHINE is container or virtual, not %q", kind)
	}
	t.Cleanup(func() {
		if err := m.computer.cut(); err != nil {
			t.Error(err)
		}
	})
	if err := m.up(); err != nil {
		cannot("no machine boots here: %v", err)
	}
	return m
}

// setting is the value of a variable; the test is skipped without it.
func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skip("needs a machine and a package: .ci/run machine makes them, and .ci/run vm")
	}
	return value
}

// up switches the machine on, and returns when it can be talked to.
func (m *machine) up() error {
	start := time.Now()
	if err := m.computer.start(); err != nil {
		return err
	}
	if err := m.within(m.patience, func() error { return m.try("true") }); err != nil {
		return fmt.Errorf("%w; the console: %s", err, m.computer.console())
	}
	m.t.Logf("booted in %s", time.Since(start).Round(time.Second/10))
	return nil
}

// powerCut cuts the power, and switches the machine on again once a load that
// loses its server has ended.
func (m *machine) powerCut(l *load) {
	m.t.Helper()
	// The control: what nobody synced does not come back.
	m.run("echo unsynced >/root/unsynced")
	if err := m.computer.cut(); err != nil {
		m.t.Fatal(err)
	}
	l.end()
	if err := m.up(); err != nil {
		m.t.Fatal(err)
	}
	m.want("cat /root/unsynced 2>/dev/null || true", "")
}

// within tries until something works or the time is up.
func (m *machine) within(limit time.Duration, try func() error) error {
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("after %s: %w", limit, err)
}

// eventually waits until something works.
func (m *machine) eventually(what string, try func() error) {
	m.t.Helper()
	if err := m.within(m.patience, try); err != nil {
		m.t.Fatalf("%s %v\n%s", what, err, m.log())
	}
}

// eventuallyPrints waits until a script prints something that contains a text.
func (m *machine) eventuallyPrints(script, text string) {
	m.t.Helper()
	m.eventually(script, func() error {
		out, err := m.output(script)
		if err == nil && !strings.Contains(out, text) {
			err = fmt.Errorf("%q, want %q", out, text)
		}
		return err
	})
}

func (m *machine) options(port string) []string {
	return []string{
		"-q", "-i", m.key, port, m.port,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15",
	}
}

// try runs a script in the machine.
func (m *machine) try(script string) error {
	_, err := m.output(script)
	return err
}

func (m *machine) output(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", append(m.options("-p"), "root@"+m.address, script)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%q: %w: %s", script, err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// run runs a script that must succeed, and returns what it printed.
func (m *machine) run(script string) string {
	m.t.Helper()
	out, err := m.output("set -e; " + script)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.log())
	}
	return out
}

// log is what the services have said lately.
func (m *machine) log() string {
	out, err := m.output("systemctl --no-pager status 'piccolo*'; journalctl --no-pager --lines=60 --unit='piccolo*'")
	return fmt.Sprint(out, err)
}

// want runs a script that must print one thing.
func (m *machine) want(script, want string) {
	m.t.Helper()
	if got := m.run(script); got != want {
		m.t.Fatalf("%s: %q, want %q\n%s", script, got, want, m.log())
	}
}

// copy puts files and directories into /root, where they outlive a power cut.
func (m *machine) copy(files ...string) {
	m.t.Helper()
	args := append(append(append([]string{"-r"}, m.options("-P")...), files...), "root@"+m.address+":/root/")
	if out, err := exec.Command("scp", args...).CombinedOutput(); err != nil {
		m.t.Fatalf("scp: %v: %s", err, out)
	}
	m.run("sync")
}

// ready waits until the API says that it is.
func (m *machine) ready() {
	m.t.Helper()
	m.eventually("ready", func() error {
		res, err := http.Get(m.api + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", res.Status, body)
		}
		return err
	})
}
