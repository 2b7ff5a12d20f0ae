package faults_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// attackers is how many clients make each attack at the same time, with 500
// connections each that do nothing: PICCOLO_ATTACKERS or a few.
func attackers(t *testing.T) int {
	text, ok := os.LookupEnv("PICCOLO_ATTACKERS")
	if !ok {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PICCOLO_ATTACKERS=%s: want a number above 0", text)
	}
	return n
}

const tinyPair = `{"key":"a","value":1}` + "\n"

// largest is so many lines of the largest value or its opposite, under one key:
// no two of them can be added up in 64 bits.
func largest(sign string, lines int) io.Reader {
	line := fmt.Sprintf(`{"key":"b","value":%s%d}`+"\n", sign, int64(math.MaxInt64))
	return repeated(line, lines*len(line))
}

// repeated is text, over and over, of n bytes.
func repeated(text string, n int) io.Reader {
	return io.LimitReader(&repeat{text: []byte(text)}, int64(n/len(text)*len(text)))
}

type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], r.text[r.at:])
		n, r.at = n+m, (r.at+m)%len(r.text)
	}
	return n, nil
}

// bombs returns 256 MiB of pairs, compressed in both ways.
func bombs(t *testing.T) (gz, zs []byte) {
	t.Helper()
	var g, z bytes.Buffer
	gw := gzip.NewWriter(&g)
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.MultiWriter(gw, zw), repeated(tinyPair, 1<<28)); err != nil {
		t.Fatal(err)
	}
	if err := gw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return g.Bytes(), z.Bytes()
}

// Bodies that are made to hurt come together, with connections that say nothing
// or next to nothing. Each gets the status it deserves, memory is bounded, and
// clients that do no harm notice nothing but the load.
func TestAttack(t *testing.T) {
	t.Parallel()
	n := attackers(t)
	s := newService(t)
	s.start()
	b := newBook()
	calm := rss(t, s)
	l := s.load(b, 4, "stored")
	gz, zs := bombs(t)
	const mib = 1 << 20

	var quiet []net.Conn
	for i := range 500 * n {
		c, err := net.Dial("tcp", s.api)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		quiet = append(quiet, c)
		if i%10 == 0 { // the first bytes of a body that never comes
			fmt.Fprintf(c, "POST /v1/increments HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 16000000\r\n\r\n")
			fmt.Fprint(c, strings.Repeat(tinyPair, 1000))
		}
	}

	var group sync.WaitGroup
	f := measure(t, 11, "bodies that attack", "PICCOLO_ATTACKERS")
	var theirs atomic.Int64 // increments of attackers that were counted
	var resets atomic.Int64 // requests of theirs that were cut off without a reply
	// post returns how many increments of an attack were counted.
	post := func(name, contentType, encoding string, body func() io.Reader, want ...int) (counted *atomic.Int64) {
		counted = new(atomic.Int64)
		for range n {
			f.Times++
			group.Go(func() {
				ask := func() (*http.Response, error) {
					r, err := http.NewRequest(http.MethodPost, "http://"+s.api+"/v1/increments", body())
					if err != nil {
						return nil, err
					}
					r.Header.Set("Content-Type", contentType)
					if encoding != "" {
						r.Header.Set("Content-Encoding", encoding)
					}
					return http.DefaultTransport.RoundTrip(r)
				}
				reply, err := ask()
				for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); reply, err = ask() {
					if err == nil {
						// The others' bodies may take all the memory there is for
						// that, or all the time.
						busy := reply.StatusCode == http.StatusServiceUnavailable || reply.StatusCode == http.StatusRequestTimeout
						if !busy || slices.Contains(want, reply.StatusCode) {
							break
						}
						_ = reply.Body.Close()
					} else {
						// What the client still sends may outlast what is left for
						// it: the refusal is lost then, once and not always.
						resets.Add(1)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if err != nil {
					t.Errorf("%s: no reply, however often it is sent: %v", name, err)
					return
				}
				defer reply.Body.Close()
				text, _ := io.ReadAll(reply.Body)
				if !slices.Contains(want, reply.StatusCode) {
					t.Errorf("%s: %s, want %v: %s", name, reply.Status, want, text)
				}
				if reply.StatusCode < 300 {
					var said struct{ Counted int64 }
					if err := json.Unmarshal(text, &said); err != nil {
						t.Errorf("%s: %s: %v", name, text, err)
					}
					counted.Add(said.Counted)
					theirs.Add(said.Counted)
				}
			})
		}
		return counted
	}
	raw := func(name, text string, want int) {
		for range n {
			f.Times++
			group.Go(func() {
				c, err := net.Dial("tcp", s.api)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(c, text); err != nil {
					t.Error(err)
				}
				reply, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if reply.StatusCode != want {
					t.Errorf("%s: %s, want %d", name, reply.Status, want)
				}
			})
		}
	}
	const lines, array = "application/x-ndjson", "application/json"
	post("10 million tiny pairs", lines, "", func() io.Reader { return repeated(tinyPair, 10_000_000*len(tinyPair)) }, 413, 503)
	tiny := post("as many tiny pairs as may be", lines, "", func() io.Reader { return repeated(tinyPair, 16*mib) }, 200, 503)
	post("a key of 16 MB", lines, "", func() io.Reader {
		return io.MultiReader(strings.NewReader(`{"key":"`), repeated("k", 15*mib), strings.NewReader(`","value":1}`))
	}, 400)
	post("deep arrays", array, "", func() io.Reader { return repeated("[", 15*mib) }, 400)
	post("deep objects", lines, "", func() io.Reader { return repeated(`{"key":`, 15*mib) }, 400)
	post("blanks", array, "", func() io.Reader { return repeated(" ", 15*mib) }, 400)
	post("a gzip bomb", lines, "gzip", func() io.Reader { return bytes.NewReader(gz) }, 413, 503)
	post("a zstd bomb", lines, "zstd", func() io.Reader { return bytes.NewReader(zs) }, 413, 503)
	const head = "POST /v1/increments HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 22\r\n"
	raw("two lengths", head+"Content-Length: 23\r\n\r\n"+tinyPair, 400)
	raw("a length and chunks", head+"Transfer-Encoding: chunked\r\n\r\n16\r\n"+tinyPair+"\r\n0\r\n\r\n", 400)
	const overflowing = 100_000
	post("largest values under one key", lines, "", func() io.Reader { return largest("", overflowing) }, 200)
	group.Wait()
	// What has been beyond 64 bits comes back to the increment.
	post("their opposites", lines, "", func() io.Reader { return largest("-", overflowing) }, 200)
	group.Wait()
	peak := rss(t, s)

	l.stop()
	if got := l.replied[refused].Load() + l.replied[unknown].Load() + l.replied[unsent].Load(); got != 0 {
		t.Errorf("%d requests that do no harm were not counted", got)
	}
	t.Logf("%d attackers of each kind, %d of their requests without a reply, %d connections without a request, gzip bomb of %d KB: %d requests of others counted, %d MiB of memory at most, %d before",
		n, resets.Load(), len(quiet), len(gz)>>10, l.replied[counted].Load(), peak>>10, calm>>10)
	if most := 500<<10 + 40*len(quiet); peak > most {
		t.Errorf("%d KiB of memory, want at most %d", peak, most)
	}
	for _, c := range quiet {
		_ = c.Close()
	}
	s.quiet()
	contents := s.contents()
	if got := contents.numbers["a"]; got != tiny.Load() {
		t.Errorf("the attackers' pairs come to %d, and %d of them were counted", got, tiny.Load())
	}
	if got := contents.numbers["b"]; got != 0 || contents.quarantined > 0 {
		t.Errorf("the largest values and their opposites come to %d, with %d in the quarantine", got, contents.quarantined)
	}
	delete(contents.numbers, "a")
	delete(contents.numbers, "b")
	contents.increments -= int(theirs.Load())
	b.settled()
	f.check(b, contents)
	s.stop()
}

// rss is the most memory that the service has had, in KiB.
func rss(t *testing.T, s *service) (kib int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.now.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ = strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return kib
}
