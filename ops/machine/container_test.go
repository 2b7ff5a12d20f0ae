package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// container is a machine of systemd-nspawn's: this computer's kernel, and a
// systemd, a network and a disk of its own.
type container struct {
	disk    string // what has reached the disk, a file
	root    string // where the disk is mounted
	printed console
	nspawn  *exec.Cmd
	ended   chan struct{} // closed when nspawn has
}

const (
	containerName    = "piccolo"
	containerLink    = "ve-" + containerName // this computer's end of its line
	containerPeer    = "169.254.77.1/30"     // the address of that
	containerAddress = "169.254.77.2"        // as ops/machine/image says
)

// newContainer puts a container, off, behind m.
func newContainer(m *machine, image string) {
	m.t.Helper()
	dir := m.t.TempDir()
	c := &container{disk: filepath.Join(dir, "disk.ext4"), root: filepath.Join(dir, "root"), printed: newConsole(m.t)}
	if err := os.Mkdir(c.root, 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := output("cp", "--sparse=always", filepath.Join(image, "disk.ext4"), c.disk); err != nil {
		m.t.Fatal(err)
	}
	m.computer, m.patience = c, 90*time.Second
	m.api, m.address, m.port = "http://"+containerAddress+":3333", containerAddress, "22"
}

func (c *container) start() error {
	// What nobody asks for reaches the disk late, so that a power cut has
	// something to lose.
	if err := output("mount", "-o", "loop,commit=300", c.disk, c.root); err != nil {
		return err
	}
	args := []string{
		"--quiet", "--boot", "--directory=" + c.root, "--machine=" + containerName,
		"--network-veth", "--register=no", "--settings=no", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		args = append(args, "--keep-unit") // nobody here could give it one
	}
	c.nspawn = exec.Command("systemd-nspawn", args...)
	// Where this computer still has the old hierarchies of cgroups, too.
	c.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	c.nspawn.Stdout, c.nspawn.Stderr = c.printed, c.printed
	if err := c.nspawn.Start(); err != nil {
		return err
	}
	c.ended = make(chan struct{})
	go func() {
		_ = c.nspawn.Wait()
		close(c.ended)
	}()
	return c.connect()
}

// connect gives this computer's end of the line, which nspawn makes, its address.
func (c *container) connect() error {
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		select {
		case <-c.ended:
			return fmt.Errorf("systemd-nspawn ended: %s", c.printed)
		case <-time.After(50 * time.Millisecond):
		}
		if err = output("ip", "address", "replace", containerPeer, "dev", containerLink); err == nil {
			return output("ip", "link", "set", containerLink, "up")
		}
	}
	return err
}

func (c *container) cut() error {
	if c.nspawn != nil {
		// The container's first process, and with it all others.
		err := output("pkill", "-KILL", "-P", strconv.Itoa(c.nspawn.Process.Pid))
		if err != nil {
			_ = c.nspawn.Process.Kill()
		}
		<-c.ended
		c.nspawn = nil
	}
	if syscall.Access(filepath.Join(c.root, "etc"), 0) != nil {
		return nil // not mounted
	}
	// What the kernel still has in memory would be written when the disk is
	// unmounted: a copy of before that is what a power cut leaves.
	left := c.disk + ".left"
	return errors.Join(
		output("cp", "--sparse=always", c.disk, left),
		output("umount", c.root),
		os.Rename(left, c.disk))
}

func (c *container) console() string { return c.printed.String() }

// output runs a command, and what it says is its error.
func output(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
