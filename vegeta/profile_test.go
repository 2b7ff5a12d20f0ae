package main

import (
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

func TestProfileOne(t *testing.T) {
	p := profiles["one"]
	if p.rate != 1100 {
		t.Errorf("rate %d, want 1100", p.rate)
	}
	// A newline at the end of the file would be part of the value.
	if testBody != "key=test1&value=1" {
		t.Errorf("testbody holds %q", testBody)
	}
	increments := p.increments(1)
	if want := []piccolo.Increment{{Key: "test1", Value: 1}}; !slices.Equal(increments, want) {
		t.Errorf("increments %v, want %v", increments, want)
	}
	if body := form(increments[0]); body != testBody {
		t.Errorf("the body is %q, testbody holds %q", body, testBody)
	}
}

func TestProfileInsane(t *testing.T) {
	p := profiles["insane"]
	if p.rate != 9000 {
		t.Errorf("rate %d, want 9000", p.rate)
	}
	increments := p.increments(7)
	if len(increments) != 9000 {
		t.Fatalf("%d increments, want 9000", len(increments))
	}
	uuid4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	keys := make(map[string]bool)
	var negative, positive int
	for _, inc := range increments {
		switch {
		case !uuid4.MatchString(inc.Key):
			t.Fatalf("key %q is no random UUID", inc.Key)
		case inc.Value < -10000 || inc.Value > 10000:
			t.Fatalf("value %d lies outside -10000…10000", inc.Value)
		case inc.Value < 0:
			negative++
		case inc.Value > 0:
			positive++
		}
		keys[inc.Key] = true
	}
	if len(keys) != len(increments) {
		t.Errorf("%d distinct keys, want %d", len(keys), len(increments))
	}
	if negative == 0 || positive == 0 {
		t.Errorf("%d negative and %d positive values, want some of both", negative, positive)
	}
	if !slices.Equal(increments, p.increments(7)) {
		t.Error("the same seed gave other increments")
	}
	if slices.Equal(increments, p.increments(8)) {
		t.Error("another seed gave the same increments")
	}
}

func TestForm(t *testing.T) {
	for _, inc := range []piccolo.Increment{{Key: "a&b=c d+%", Value: -1}, {Key: "größe", Value: 0}} {
		body := form(inc)
		if got, err := parseForm(body); err != nil || got != inc {
			t.Errorf("%v became %q and that %v, %v", inc, body, got, err)
		}
	}
	for _, body := range []string{"", "key=a", "key=a&value=1\n", "key=a&value=" + url.QueryEscape("9223372036854775808")} {
		if got, err := parseForm(body); err == nil {
			t.Errorf("%q was read as %v", body, got)
		}
	}
}
