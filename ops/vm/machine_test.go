package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is for one thing in a machine that is emulated in software, on a
// computer that has other things to do.
const patience = 15 * time.Minute

// machine is a virtual machine with a disk of its own.
type machine struct {
	t     *testing.T
	image string // the directory that ops/vm/image made
	disk  string
	api   string // URL of port 3333
	ssh   string // port on loopback

	qemu    *exec.Cmd
	console bytes.Buffer
}

// newMachine makes a machine that is off, and a disk as ops/vm/image made it.
func newMachine(t *testing.T, image string) *machine {
	t.Helper()
	m := &machine{t: t, image: image, disk: filepath.Join(t.TempDir(), "disk.qcow2")}
	m.api, m.ssh = "http://127.0.0.1:"+freePort(t), freePort(t)
	base, err := filepath.Abs(filepath.Join(image, "disk.ext4"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", m.disk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v: %s", err, out)
	}
	t.Cleanup(m.cutPower)
	return m
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// boot switches the machine on, and returns when it can be talked to.
func (m *machine) boot() {
	m.t.Helper()
	start := time.Now()
	m.start()
	m.eventually("ssh", func() error { return m.try("true") })
	m.t.Logf("booted in %s", time.Since(start).Round(time.Second))
}

// start switches the machine on.
func (m *machine) start() {
	m.t.Helper()
	m.console.Reset()
	m.qemu = exec.Command("qemu-system-x86_64",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-kernel", filepath.Join(m.image, "vmlinuz"), "-initrd", filepath.Join(m.image, "initrd.img"),
		// A busy computer makes a kernel doubt its timer.
		"-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 no_timer_check",
		"-drive", "if=virtio,format=qcow2,file="+m.disk,
		// Nothing leaves the machine, and only these ports lead into it.
		"-nic", "user,model=virtio-net-pci,restrict=on"+
			",hostfwd=tcp:127.0.0.1:"+m.ssh+"-:22"+
			",hostfwd=tcp:127.0.0.1:"+strings.TrimPrefix(m.api, "http://127.0.0.1:")+"-:3333",
		"-nographic", "-monitor", "none", "-no-reboot")
	m.qemu.Stdout, m.qemu.Stderr = &m.console, &m.console
	if err := m.qemu.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// cutPower ends the machine between two instructions. What it had not yet told
// its disk to keep is gone.
func (m *machine) cutPower() {
	if m.qemu == nil {
		return
	}
	_ = m.qemu.Process.Kill()
	_ = m.qemu.Wait()
	m.qemu = nil
}

// eventually waits until something works.
func (m *machine) eventually(what string, try func() error) {
	m.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	m.t.Fatalf("%s: %v after %s; the console: %s", what, err, patience, m.console.String())
}

func (m *machine) options(port string) []string {
	return []string{
		"-q", "-i", filepath.Join(m.image, "key"), port, m.ssh,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15",
	}
}

// try runs a script in the machine.
func (m *machine) try(script string) error {
	_, err := m.output(script)
	return err
}

func (m *machine) output(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", append(m.options("-p"), "root@127.0.0.1", script)...).CombinedOutput()
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

// copy puts files and directories into /root.
func (m *machine) copy(files ...string) {
	m.t.Helper()
	args := append(append(append([]string{"-r"}, m.options("-P")...), files...), "root@127.0.0.1:/root/")
	if out, err := exec.Command("scp", args...).CombinedOutput(); err != nil {
		m.t.Fatalf("scp: %v: %s", err, out)
	}
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

// settings are where the test's files are; it is skipped without them.
func settings(t *testing.T) (image, deb, nats string) {
	t.Helper()
	image, deb, nats = os.Getenv("PICCOLO_VM_IMAGE"), os.Getenv("PICCOLO_VM_DEB"), os.Getenv("PICCOLO_VM_NATS")
	if image == "" || deb == "" || nats == "" {
		t.Skip("needs a machine and a package: .ci/run vm makes them")
	}
	return image, deb, nats
}
