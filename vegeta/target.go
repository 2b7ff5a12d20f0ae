package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/piccolo-counter/piccolo"
)

const (
	incrementPath = "/increment"
	formType      = "application/x-www-form-urlencoded"
	ackHeader     = "Piccolo-Ack"
)

// targets are the requests that count increments at the service with that URL.
func targets(url string, ack piccolo.Ack, increments []piccolo.Increment) []vegeta.Target {
	header := http.Header{"Content-Type": {formType}, ackHeader: {ack.String()}}
	targets := make([]vegeta.Target, len(increments))
	for i, inc := range increments {
		targets[i] = vegeta.Target{
			Method: http.MethodPost,
			URL:    url + incrementPath,
			Body:   []byte(form(inc)),
			Header: header,
		}
	}
	return targets
}

// numbered gives every target its index as the fragment of its URL. A fragment
// is not sent, but vegeta's result has the URL as the target has it, and
// nothing else that says which body it is the outcome of.
func numbered(targets []vegeta.Target) []vegeta.Target {
	out := make([]vegeta.Target, len(targets))
	for i, t := range targets {
		t.URL += "#" + strconv.Itoa(i)
		out[i] = t
	}
	return out
}

// unnumber returns the index of the target that a result is the outcome of,
// and takes the fragment out of the result again: errors that differ in nothing
// else would fill a line each of the report.
func unnumber(r *vegeta.Result) int {
	url, fragment, _ := strings.Cut(r.URL, "#")
	n, err := strconv.Atoi(fragment)
	if err != nil {
		panic(fmt.Sprintf("the result of a numbered target has the URL %q", r.URL))
	}
	r.Error = strings.Replace(r.Error, r.URL, url, 1)
	r.URL = url
	return n
}

// writeTargets writes targets as the vegeta command reads them with
// -format=json.
func writeTargets(w io.Writer, targets []vegeta.Target) error {
	encode := vegeta.NewJSONTargetEncoder(w)
	for i := range targets {
		if err := encode(&targets[i]); err != nil {
			return fmt.Errorf("write the targets: %w", err)
		}
	}
	return nil
}
