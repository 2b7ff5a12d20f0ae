package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	firstWait = 50 * time.Millisecond
	longWait  = 5 * time.Second
)

// retrying tries until it succeeds, or can never, or the client's time for that
// is over. again is whether a try may have been done without harm to the next.
func (c *Client) retrying(ctx context.Context, again bool, try func() error) error {
	start, unsure := time.Now(), false
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		err := try()
		unsure = unsure || mayCount(err)
		if p := (*Problem)(nil); errors.As(err, &p) {
			p.Unsure = unsure // it speaks for one try, and is returned for all
		}
		if err == nil || !mayRetry(err, again) {
			return err
		}
		if over := ctx.Err(); over != nil {
			if !errors.Is(err, over) {
				err = errors.Join(over, err) // it ended with the last reply
			}
			return err
		}
		// Clients that failed together shall not come back together.
		pause := wait/2 + mathrand.N(wait/2+1)
		if p := (*Problem)(nil); errors.As(err, &p) {
			pause = max(pause, p.RetryAfter)
		}
		if elapsed := time.Since(start); elapsed+pause > c.retry {
			if c.retry == 0 {
				return err
			}
			return fmt.Errorf("given up after %s: %w", elapsed.Round(time.Millisecond), err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// mayRetry says whether a request that failed may be sent again and succeed.
// again is whether it may have been done without harm.
func mayRetry(err error, again bool) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return neverLeft(err) || again && !errors.Is(err, errStrange)
	}
	switch p.Status {
	case http.StatusServiceUnavailable:
		return p.own || again // the service counts nothing then; a proxy may not know
	case http.StatusTooManyRequests:
		return true
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusGatewayTimeout:
		return again
	}
	return false
}

// neverLeft says whether a request failed before any of it was sent.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// mayCount says whether a try that did not do what was asked for may have
// counted. The service's own refusal did not; a proxy may not know.
func mayCount(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return err != nil && !neverLeft(err)
	}
	return !p.own && !turnedAway(p.Status)
}

// turnedAway says whether a proxy that answers with a status found fault with
// the request, and did not pass it on. Those not listed it may have from waiting
// for the service.
func turnedAway(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}

// newKey makes an idempotency key that nobody else has.
func newKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
