package ingress

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// problem is a reply that says why nothing was counted, as RFC 9457 has it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"` // key, value, …
	Index  *int   `json:"index,omitempty"` // of the increment that is at fault, from 0

	allow          string        // of a 405
	acceptEncoding string        // of a 415
	authenticate   string        // of a 401
	retryAfter     time.Duration // of a 503
	close          bool          // the connection is of no further use
}

func newProblem(status int, format string, args ...any) *problem {
	return &problem{
		Type:   "about:blank",
		Title:  fasthttp.StatusMessage(status),
		Status: status,
		Detail: fmt.Sprintf(format, args...),
	}
}

// bad is a 400 that names a field and what came in it.
func bad(field, format string, args ...any) *problem {
	p := newProblem(fasthttp.StatusBadRequest, field+" "+format, args...)
	p.Field = field
	return p
}

// unavailable is the 503 for what could not be counted.
func unavailable(err error) *problem {
	detail := "nothing was counted: "
	switch {
	case errors.Is(err, piccolo.ErrBusy):
		detail += "as many distinct keys wait in memory as may"
	case errors.Is(err, piccolo.ErrFull):
		detail += "the stream is full, the writer is behind or away"
	default:
		detail += err.Error()
	}
	p := newProblem(503, "%s", detail)
	p.retryAfter = time.Second
	return p
}

func (p *problem) write(ctx *fasthttp.RequestCtx) {
	ctx.Response.Reset()
	ctx.SetStatusCode(p.Status)
	ctx.SetContentType("application/problem+json")
	if p.allow != "" {
		ctx.Response.Header.Set("Allow", p.allow)
	}
	if p.acceptEncoding != "" {
		ctx.Response.Header.Set("Accept-Encoding", p.acceptEncoding)
	}
	if p.authenticate != "" {
		ctx.Response.Header.Set("WWW-Authenticate", p.authenticate)
	}
	if p.retryAfter > 0 {
		seconds := max(int(p.retryAfter.Round(time.Second)/time.Second), 1)
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(seconds))
	}
	if p.close {
		ctx.SetConnectionClose()
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // a problem is strings and a number
	}
	ctx.SetBody(append(body, '\n'))
}

// quote shows what a client sent, cut where it is long and with what is not
// printable escaped.
func quote(raw []byte) string {
	const most = 64
	if len(raw) <= most {
		return strconv.Quote(string(raw))
	}
	cut := raw[:most]
	for len(cut) > 0 && !utf8.RuneStart(raw[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	return strings.TrimSuffix(strconv.Quote(string(cut)), `"`) + fmt.Sprintf(`…" (%d bytes)`, len(raw))
}
