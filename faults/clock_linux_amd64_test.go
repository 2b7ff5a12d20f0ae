package faults_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildJumping builds the service with a wall clock that jumps where a file
// says, at SIGUSR2, as the clock of a machine does that somebody sets: all of
// the process sees it, the NATS server too. The monotonic clock goes on as it
// does then. What is replaced is the kernel's function that Go reads both clocks
// by; nothing of the service is.
var buildJumping = sync.OnceValues(func() (string, error) {
	const jumper = `package main

import (
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	_ "unsafe" // for go:linkname
)

//go:linkname vdsoClockgettimeSym runtime.vdsoClockgettimeSym
var vdsoClockgettimeSym uintptr

var (
	kernelClock uintptr // the kernel's clock_gettime
	jumped      int64   // seconds
)

func clockAddress() uintptr

func init() {
	if vdsoClockgettimeSym == 0 {
		panic("the kernel's clock_gettime is not in a vDSO here")
	}
	jump := func() {
		if text, err := os.ReadFile(os.Getenv("FAULTS_CLOCK")); err == nil {
			seconds, _ := strconv.ParseInt(string(text), 10, 64)
			atomic.StoreInt64(&jumped, seconds)
		}
	}
	jump()
	kernelClock = vdsoClockgettimeSym
	atomic.StoreUintptr(&vdsoClockgettimeSym, clockAddress())
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	go func() {
		for range c {
			jump()
		}
	}()
}
`
	// It is called as the kernel's is: C's registers, on a large stack.
	const clock = `#include "textflag.h"

// clock_gettime(clock DI, *timespec SI)
TEXT ·clock(SB), NOSPLIT|NOFRAME, $0
	SUBQ $24, SP
	MOVQ DI, 0(SP)
	MOVQ SI, 8(SP)
	MOVQ ·kernelClock(SB), AX
	CALL AX
	MOVQ 0(SP), DI
	MOVQ 8(SP), SI
	ADDQ $24, SP
	CMPL DI, $0 // CLOCK_REALTIME
	JNE  monotonic
	MOVQ ·jumped(SB), CX
	ADDQ CX, 0(SI)
monotonic:
	RET

TEXT ·clockAddress(SB), NOSPLIT, $0-8
	LEAQ ·clock(SB), AX
	MOVQ AX, ret+0(FP)
	RET
`
	return buildAltered("jumping", map[string]string{"../cmd/piccolo/jump.go": jumper, "../cmd/piccolo/jump_amd64.s": clock})
})

// The machine's clock is set forward and back under load, by seconds and by
// years, and the service starts with a clock that is behind what it wrote:
// nothing is lost or counted twice, and nothing is needed.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	path, err := buildJumping()
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, "--partitions=2")
	s.binary = path
	clock := filepath.Join(t.TempDir(), "clock")
	env := "FAULTS_CLOCK=" + clock
	set := func(to time.Duration) {
		t.Helper()
		s.must(os.WriteFile(clock, []byte(strconv.Itoa(int(to.Seconds()))), 0o600))
	}
	b := newBook()
	l := s.load(b, 4, "stored", "applied", "memory")
	day := 24 * time.Hour
	for _, restart := range []bool{false, true} {
		f := measure(t, 10, map[bool]string{false: "clock set under load", true: "clock set between a stop and a start"}[restart])
		set(0)
		s.start(env)
		for _, jump := range []time.Duration{2 * time.Second, -2 * time.Second, time.Hour, -time.Hour, 400 * day, -400 * day} {
			l.await(s, counted, 30)
			set(jump)
			since := time.Now()
			if !restart {
				s.signal(syscall.SIGUSR2)
			} else {
				s.stop()
				s.start(env)
			}
			f.Times++
			// The process comes round to the signal when it may run. It tells its
			// clock in seconds.
			s.until("the service's clock has jumped", func() bool {
				return s.clock().Sub(time.Now().Add(jump)).Abs() < 1500*time.Millisecond
			})
			f.back(s, b, since)
			l.await(s, counted, 30)
			if !restart && jump == time.Hour {
				s.doctorSeesTheClock()
			}
		}
		s.stop()
		b.settled()
		f.settle(b, s.contents())
	}
	l.stop()
	b.settled()
	set(0)
	s.start(env)
	s.quiet()
	s.undisturbed()
	s.stop()
	b.check(t, s.contents())
	if sure, _, _ := b.totals(); s.contents().increments != sure {
		t.Errorf("%d increments were counted, and %d acknowledged", s.contents().increments, sure)
	}
}

// doctorSeesTheClock runs piccolo doctor by a clock that nobody has set.
func (s *service) doctorSeesTheClock() {
	s.t.Helper()
	out, _ := exec.Command(binary, "doctor", "--nats", "nats://"+s.nats, "--admin", s.admin, "--db", s.database).CombinedOutput()
	if !regexp.MustCompile(`(?m)^WRONG +clock +this machine's clock and the NATS server's are (1h0m|59m)[0-9.]+s apart.*\n +→ synchronise both: timedatectl`).Match(out) {
		s.t.Errorf("doctor does not see that the clocks are an hour apart: %s", out)
	}
}

// clock is the service's, as its replies tell it.
func (s *service) clock() time.Time {
	s.t.Helper()
	reply, err := http.Get("http://" + s.admin + "/livez")
	s.must(err)
	defer reply.Body.Close()
	date, err := http.ParseTime(reply.Header.Get("Date"))
	s.must(err)
	return date
}
