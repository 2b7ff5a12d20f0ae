package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"
)

// pacedCmd is a load in a process of its own. It asks at each rate in turn,
// whatever the replies do. One connection carries what is due in a millisecond
// as one write, which HTTP lets it. At the end it prints how many requests were
// answered with 2xx.
type pacedCmd struct {
	Addr  string `arg:""`
	Rates []int  `arg:"" help:"Increments a second."`
}

// paced is a load for a server at addr, each rate for a time.
func (b *bench) paced(addr string, each time.Duration, rates ...int) *exec.Cmd {
	args := []string{"-c", loadCore, b.self, "--for", each.String(), "--keys", strconv.Itoa(b.Keys), "paced", addr}
	for _, rate := range rates {
		args = append(args, strconv.Itoa(rate))
	}
	cmd := exec.Command("taskset", args...)
	cmd.Stderr = os.Stderr
	return cmd
}

func (c *pacedCmd) Run(b *bench) error {
	const connections = 32
	var sent, answered atomic.Int64
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := net.Dial("tcp", c.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		conns[i] = conn
		go func() {
			for r := bufio.NewReader(conn); ; {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if bytes.HasPrefix(line, []byte("HTTP/1.1 2")) {
					answered.Add(1)
				}
			}
		}()
	}
	var requests bytes.Buffer
	turn := 0
	for _, rate := range c.Rates {
		begin, done := time.Now(), 0
		for since := time.Duration(0); since < b.For; since = time.Since(begin) {
			due := int(since.Seconds()*float64(rate)) - done
			if due <= 0 {
				time.Sleep(time.Millisecond / 2)
				continue
			}
			done += due
			for due > 0 {
				requests.Reset()
				n := min(due, 16)
				for range n {
					body := fmt.Sprintf("key=key-%08d-xxxx&value=1", rand.IntN(b.Keys))
					fmt.Fprintf(&requests, "POST /increment HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
				if _, err := conns[turn%connections].Write(requests.Bytes()); err != nil {
					return err
				}
				turn++
				sent.Add(int64(n))
				due -= n
			}
		}
	}
	for range 200 { // the last replies are on their way
		if answered.Load() == sent.Load() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if s, a := sent.Load(), answered.Load(); a < s {
		fmt.Fprintf(os.Stderr, "%d of %d requests were not answered with 2xx in time\n", s-a, s)
	}
	fmt.Println(answered.Load())
	return nil
}
