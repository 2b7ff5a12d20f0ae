package main

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"

	"github.com/piccolo-counter/piccolo"
)

// profile is a kind of load: what is counted, and how often.
type profile struct {
	rate       int // increments a second
	increments func(seed uint64) []piccolo.Increment
	bodyFile   string // holds the body of every request, where all are the same
}

// profiles are those with which the service's ancestor was measured.
var profiles = map[string]profile{
	"one":    {rate: 1100, increments: one, bodyFile: "vegeta/testbody"},
	"insane": {rate: 9000, increments: insane},
}

//go:embed testbody
var testBody string

// one is a single key, which every request increments.
func one(uint64) []piccolo.Increment {
	inc, err := parseForm(testBody)
	if err != nil {
		panic(err) // the file that was compiled in is wrong
	}
	return []piccolo.Increment{inc}
}

const (
	insaneKeys  = 9000
	insaneValue = 10_000 // the largest, and negated the smallest
)

// insane is thousands of random keys, each with a random value: as many rows
// in the database, and sums in which a lost or doubled increment does not
// cancel out. The same seed gives the same increments.
func insane(seed uint64) []piccolo.Increment {
	r := rand.New(rand.NewPCG(seed, 0))
	increments := make([]piccolo.Increment, insaneKeys)
	for i := range increments {
		increments[i] = piccolo.Increment{Key: uuid(r), Value: r.Int64N(2*insaneValue+1) - insaneValue}
	}
	return increments
}

// uuid makes a version 4 UUID of r's bits.
func uuid(r *rand.Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.Uint64())
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	b[6] = b[6]&0x0f | 0x40 // version 4: random
	b[8] = b[8]&0x3f | 0x80 // the variant of RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// form is an increment as the body of a request.
func form(inc piccolo.Increment) string {
	return "key=" + url.QueryEscape(inc.Key) + "&value=" + strconv.FormatInt(inc.Value, 10)
}

// parseForm is the inverse of form.
func parseForm(body string) (inc piccolo.Increment, err error) {
	fields, err := url.ParseQuery(body)
	if err != nil {
		return inc, fmt.Errorf("body %q: %w", body, err)
	}
	inc.Key = fields.Get("key")
	if inc.Value, err = strconv.ParseInt(fields.Get("value"), 10, 64); err != nil {
		return inc, fmt.Errorf("body %q: %w", body, err)
	}
	return inc, nil
}
