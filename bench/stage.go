package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What is measured has one core, what asks it has the other.
const serverCore, loadCore = "0", "1"

// stage is where servers run, for as long as they are measured.
type stage struct {
	dir     string
	started []*exec.Cmd
	served  []int // process ids of what is measured
}

func (b *bench) newStage() (*stage, error) {
	dir, err := os.MkdirTemp(b.dir, "stage")
	return &stage{dir: dir}, err
}

// serve starts a process that is measured.
func (s *stage) serve(program string, args ...string) error {
	cmd, err := s.launch(serverCore, program, args...)
	if err == nil {
		s.served = append(s.served, cmd.Process.Pid)
	}
	return err
}

// launch starts a process on a core. It ends with the stage.
func (s *stage) launch(core, program string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%d.log", len(s.started))))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("taskset", append([]string{"-c", core, program}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.started = append(s.started, cmd)
	return cmd, nil
}

// stop ends what was started, the last first, and removes what it left.
func (s *stage) stop() {
	for _, cmd := range slices.Backward(s.started) {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	_ = os.RemoveAll(s.dir)
}

// said is what the processes wrote, to tell why they failed.
func (s *stage) said() string {
	var out []byte
	for i := range s.started {
		log, _ := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("%d.log", i)))
		out = append(out, log...)
	}
	return strings.TrimSpace(string(out[max(0, len(out)-2000):]))
}

// cpu is what the measured processes and their children have used.
func (s *stage) cpu() (total time.Duration) {
	for _, pid := range s.tree() {
		total += cpuTime(pid)
	}
	return total
}

// rss is the memory of the measured processes and their children, in KiB.
func (s *stage) rss() (kib int) {
	for _, pid := range s.tree() {
		kib += rss(pid)
	}
	return kib
}

// tree returns the ids of the measured processes and of all that descend from
// them.
func (s *stage) tree() []int {
	children := make(map[int][]int)
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if fields := statOf(pid); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := slices.Clone(s.served)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// statOf returns the fields of /proc/PID/stat behind the name.
func statOf(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
}

// cpuTime is what a process has used on all of its threads, and those of its
// children that it has waited for.
func cpuTime(pid int) (total time.Duration) {
	fields := statOf(pid)
	if len(fields) < 15 {
		return 0
	}
	for _, field := range fields[11:15] {
		ticks, _ := strconv.Atoi(field)
		total += time.Duration(ticks) * time.Second / 100 // USER_HZ, on every Linux there is
	}
	return total
}

func rss(pid int) (kib int) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, _ = strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return kib
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // loopback is always there
	}
	defer l.Close()
	return l.Addr().String()
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
