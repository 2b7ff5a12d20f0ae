// Package client counts and reads over the HTTP interface of Piccolo.
//
//	c, err := client.New("http://127.0.0.1:3333")
//	…
//	_, err = c.Increment(ctx, "signups", 1)
//	n, err := c.Get(ctx, "signups")
//
// A call that returns without an error did what it says, once: where a reply
// was lost, it is asked for again under the same idempotency key. Who counts
// very often gathers increments with a Batcher, and shares the wait.
//
// It is net/http and nothing else.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client talks to one server, or to several behind one address. It is safe for
// concurrent use.
type Client struct {
	base    string
	token   string
	http    *http.Client
	retry   time.Duration
	timeout time.Duration
}

// Option changes how a Client works.
type Option func(*Client)

// WithToken sends a bearer token with every request.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithHTTPClient has requests sent by h. It should set no Timeout, which would
// end a Watch, too: contexts bound the calls.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithRetry says for how long a call is tried again that may succeed later. 0 is
// not at all. The default is 30 s.
func WithRetry(d time.Duration) Option { return func(c *Client) { c.retry = d } }

// WithTimeout says how long one try of a call may take until all of its reply is
// there, and a second more for each 64 KiB that it sends: a server that takes
// the connection and never answers is one that is away. 0 is for ever. The
// default is 15 s; a server whose --ack-timeout is longer needs more.
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// New makes a client of the server at a URL like http://127.0.0.1:3333. It
// sends nothing yet.
func New(server string, options ...Option) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("server %q is no URL like http://127.0.0.1:3333", server)
	}
	c := &Client{base: strings.TrimSuffix(server, "/"), http: &http.Client{Transport: transport()}, retry: 30 * time.Second, timeout: 15 * time.Second}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// transport keeps as many connections open to its one server as are in use.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 256
	return t
}

// call is a request that may be sent more than once.
type call struct {
	method, path string // the path with its query
	contentType  string
	body         []byte
	header       http.Header
	again        bool // sending it twice does what sending it once does
}

// do sends a request until it succeeds or cannot, and decodes the reply into
// out.
func (c *Client) do(ctx context.Context, r *call, out any) error {
	return c.retrying(ctx, r.again, func() error { return c.once(ctx, r, out) })
}

// once sends a request once and decodes the reply into out. A reply that breaks
// off is no reply.
func (c *Client) once(ctx context.Context, r *call, out any) error {
	if c.timeout > 0 {
		limit := c.timeout + time.Duration(len(r.body)>>16)*time.Second
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, noReply(limit))
		defer cancel()
	}
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return &url.Error{Op: r.method, URL: c.base + r.path, Err: err}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the reply to %s %s is %w: %w", r.method, r.path, errStrange, err)
	}
	return nil
}

func noReply(limit time.Duration) error { return fmt.Errorf("no reply within %s", limit) }

// errStrange : something else answers at this address. To ask again is no use.
var errStrange = errors.New("none of piccolo's API, is the URL right?")

// send sends a request once. A reply that is not 2xx is a *Problem, none is a
// *url.Error.
func (c *Client) send(ctx context.Context, r *call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}
