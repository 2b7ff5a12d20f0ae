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
	increments int
	p50, p99   time.Duration
}

// A loader makes the load for a server at an address.
type loader = func(api string) func(*stage, time.Duration) (loaded, error)

// prepared makes the requests of all keys beforehand, so that wrk only sends
// them. Its arguments are the number of keys, their length, and a function that
// makes the request of a key.
const prepared = `
local requests = {}
function init(args)
  local keys, size = tonumber(args[1]), tonumber(args[2])
  math.randomseed(1)
  for i = 1, keys do
    local key = string.format("key-%08d-", i)
    key = key .. string.rep("x", math.max(0, size - #key))
    requests[i] = make(key, math.random(-100, 100), args[3])
  end
end
function request() return requests[math.random(1, #requests)] end
`

const form = `
function make(key, value, ack)
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  if ack then headers["Piccolo-Ack"] = ack end
  return wrk.format("POST", "/increment", headers, "key=" .. key .. "&value=" .. value)
end
`

const webdisPath = `
function make(key, value) return wrk.format("GET", "/INCRBY/" .. key .. "/" .. value) end
`

// lines makes NDJSON of many increments: requests beforehand where there are
// few keys, each anew where there are many.
const lines = `
local keys, per, ack
local ready = {}
local function make()
  local line = {}
  for i = 1, per do
    line[i] = string.format('{"key":"key-%08d-xxxx","value":%d}\n', math.random(1, keys), math.random(-100, 100))
  end
  return wrk.format("POST", "/v1/increments", { ["Content-Type"] = "application/x-ndjson", ["Piccolo-Ack"] = ack }, table.concat(line))
end
function init(args)
  keys, per, ack = tonumber(args[1]), tonumber(args[2]), args[3]
  math.randomseed(1)
  for i = 1, math.min(math.ceil(2 * keys / per), 400) do ready[i] = make() end
end
function request() return ready[math.random(1, #ready)] end
`

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkLatency  = regexp.MustCompile(`(50|99)%\s+([\d.]+)(us|ms|s)\b`)
	wrkRefused  = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// singles sends one increment a request, on connections at the same time.
func singles(connections, keys, keySize int, ack string) loader {
	return func(api string) func(*stage, time.Duration) (loaded, error) {
		return func(s *stage, d time.Duration) (loaded, error) {
			return wrk(s, connections, d, form+prepared, 1, api, strconv.Itoa(keys), strconv.Itoa(keySize), ack)
		}
	}
}

// bulk sends per increments a request.
func bulk(connections, keys, per int, ack string) loader {
	return func(api string) func(*stage, time.Duration) (loaded, error) {
		return func(s *stage, d time.Duration) (loaded, error) {
			return wrk(s, connections, d, lines, per, api, strconv.Itoa(keys), strconv.Itoa(per), ack)
		}
	}
}

// wrk asks on all connections, as fast as replies come; a request carries per
// increments.
func wrk(s *stage, connections int, d time.Duration, script string, per int, api string, args ...string) (l loaded, err error) {
	path := filepath.Join(s.dir, "load.lua")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		return l, err
	}
	out, err := exec.Command("taskset", append([]string{"-c", loadCore, "wrk", "-t1", "-c" + strconv.Itoa(connections),
		"-d" + d.String(), "--timeout", "20s", "--latency", "-s", path, "http://" + api, "--"}, args...)...).CombinedOutput()
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
	l.increments, _ = strconv.Atoi(string(m[1]))
	l.increments *= per
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

// trickle asks one after the other, at a rate a second.
func trickle(rate, keys int, ack string) loader {
	return func(api string) func(*stage, time.Duration) (loaded, error) {
		return func(_ *stage, d time.Duration) (l loaded, err error) {
			var latencies []time.Duration
			tick := time.NewTicker(time.Second / time.Duration(rate))
			defer tick.Stop()
			for end := time.Now().Add(d); time.Now().Before(end); l.increments++ {
				<-tick.C
				body := fmt.Sprintf("key=key-%08d-xxxx&value=1", l.increments%keys)
				request, err := http.NewRequest(http.MethodPost, "http://"+api+"/increment", strings.NewReader(body))
				if err != nil {
					return l, err
				}
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				request.Header.Set("Piccolo-Ack", ack)
				start := time.Now()
				reply, err := http.DefaultClient.Do(request)
				if err != nil {
					return l, err
				}
				_ = reply.Body.Close()
				if reply.StatusCode >= 300 {
					return l, fmt.Errorf("status %s", reply.Status)
				}
				latencies = append(latencies, time.Since(start))
			}
			slices.Sort(latencies)
			l.p50, l.p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
			return l, nil
		}
	}
}
