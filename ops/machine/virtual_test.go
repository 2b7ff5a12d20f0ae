package machine

import (
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// virtual is a machine of qemu's, whose processor is emulated: slow, and the
// same everywhere.
type virtual struct {
	image   string // the directory that ops/machine/image made
	disk    string
	api     string // port on loopback
	ssh     string // port on loopback
	printed console
	qemu    *exec.Cmd
}

// newVirtual puts a virtual machine, off, behind m.
func newVirtual(m *machine, image string) {
	m.t.Helper()
	base, err := filepath.Abs(filepath.Join(image, "disk.ext4"))
	if err != nil {
		m.t.Fatal(err)
	}
	v := &virtual{image: image, disk: filepath.Join(m.t.TempDir(), "disk.qcow2"), api: freePort(m.t), ssh: freePort(m.t), printed: newConsole(m.t)}
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", v.disk).CombinedOutput(); err != nil {
		m.t.Fatalf("qemu-img: %v: %s", err, out)
	}
	m.computer, m.patience = v, 15*time.Minute // beside a full load
	m.api, m.address, m.port = "http://127.0.0.1:"+v.api, "127.0.0.1", v.ssh
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

func (v *virtual) start() error {
	v.qemu = exec.Command("qemu-system-x86_64",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-kernel", filepath.Join(v.image, "vmlinuz"), "-initrd", filepath.Join(v.image, "initrd.img"),
		// A busy computer makes a kernel doubt its timer.
		"-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 no_timer_check",
		"-drive", "if=virtio,format=qcow2,file="+v.disk,
		// Nothing leaves the machine, and only these ports lead into it.
		"-nic", "user,model=virtio-net-pci,restrict=on"+
			",hostfwd=tcp:127.0.0.1:"+v.ssh+"-:22,hostfwd=tcp:127.0.0.1:"+v.api+"-:3333",
		"-nographic", "-monitor", "none", "-no-reboot")
	v.qemu.Stdout, v.qemu.Stderr = v.printed, v.printed
	return v.qemu.Start()
}

func (v *virtual) cut() error {
	if v.qemu == nil || v.qemu.Process == nil {
		return nil
	}
	_ = v.qemu.Process.Kill()
	_ = v.qemu.Wait() // says that it was killed
	v.qemu = nil
	return nil
}

func (v *virtual) console() string { return v.printed.String() }
