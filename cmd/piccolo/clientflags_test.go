package main

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/client"
)

// A service that is away or not ready is told from one that refuses, and neither
// from who has had enough.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{&client.Problem{Status: 400, Detail: "key is blank"}, exitFailed, "400: key is blank"},
		{&client.Problem{Status: 401}, exitFailed, "--token-file"},
		{&client.Problem{Status: 404}, exitFailed, "is that the API of a piccolo? say where it is with --server"},
		{&client.Problem{Status: 502}, exitBroken, "502"},
		{&client.Problem{Status: 503, Detail: "stopping"}, exitBroken, "503: stopping"},
		{&client.Problem{Status: 504, Detail: "not committed in time"}, exitBroken, "504: not committed in time"},
		{&neturl.Error{Op: "Get", URL: "http://x", Err: errors.New("connection refused")}, exitBroken, "no answer from http://x: connection refused: start it"},
		{&neturl.Error{Op: "Get", URL: "http://x", Err: context.Canceled}, exitFailed, "interrupted"},
		{errors.Join(context.Canceled, &client.Problem{Status: 503}), exitFailed, "interrupted"},
	} {
		if c.err != nil {
			c.err = fmt.Errorf("given up after 1s: %w", c.err)
		}
		got := (&clientFlags{Server: "http://x"}).explain(c.err)
		if exitCode(got) != c.code || got != nil && !strings.Contains(got.Error(), c.says) {
			t.Errorf("%v: exit %d, %v; want %d, %q", c.err, exitCode(got), got, c.code, c.says)
		}
	}
}
