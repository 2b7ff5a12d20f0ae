package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// loaded is what a load did and saw.
type loaded struct {
	requests int
	p50, p99 time.Duration
}

// script makes the requests of all keys beforehand, so that wrk only sends
// them.
const script = `
local requests = {}
function init(args)
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  if args[1] ~= "" then headers["Piccolo-Ack"] = args[1] end
  math.randomseed(1)
  for i = 1, tonumber(args[2]) do
    local body = string.format("key=key-%%08d-abcd&value=%%d", i, math.random(-100, 100))
    requests[i] = wrk.format("POST", "/increment", headers, body)
  end
end
function request() return requests[math.random(1, #requests)] end
`

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkLatency  = regexp.MustCompile(`(50|99)%\s+([\d.]+)(us|ms|s)\b`)
	wrkRefused  = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// wrk asks on all connections, as fast as replies come.
func (b *bench) wrk(k benchCase, dir, api string, d time.Duration) (l loaded, err error) {
	path := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(script, "%%", "%")), 0o644); err != nil {
		return l, err
	}
	out, err := exec.Command("taskset", "-c", loadCore, "wrk", "-t1", "-c"+strconv.Itoa(b.Connections),
		"-d"+d.String(), "--latency", "-s", path, "http://"+api, "--", k.ack, strconv.Itoa(b.Keys)).CombinedOutput()
	if err != nil {
		return l, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if m := wrkRefused.FindSubmatch(out); m != nil {
		return l, fmt.Errorf("%s requests were refused", m[1])
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil {
		return l, fmt.Errorf("wrk said: %s", out)
	}
	l.requests, _ = strconv.Atoi(string(m[1]))
	for _, m := range wrkLatency.FindAllSubmatch(out, -1) {
		latency, _ := time.ParseDuration(string(m[2]) + string(m[3]))
		if string(m[1]) == "50" {
			l.p50 = latency
		} else {
			l.p99 = latency
		}
	}
	return l, nil
}

// trickle asks one after the other, at the rate of the case.
func (b *bench) trickle(k benchCase, _, api string, d time.Duration) (l loaded, err error) {
	var latencies []time.Duration
	tick := time.NewTicker(time.Second / time.Duration(k.rate))
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); l.requests++ {
		<-tick.C
		body := fmt.Sprintf("key=key-%08d-abcd&value=1", l.requests%b.Keys)
		request, err := http.NewRequest(http.MethodPost, "http://"+api+"/increment", strings.NewReader(body))
		if err != nil {
			return l, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Piccolo-Ack", k.ack)
		start := time.Now()
		reply, err := http.DefaultClient.Do(request)
		if err != nil {
			return l, err
		}
		_ = reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			return l, fmt.Errorf("status %s", reply.Status)
		}
		latencies = append(latencies, time.Since(start))
	}
	slices.Sort(latencies)
	l.p50, l.p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	return l, nil
}
