package ingress

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// route is what is served at a path for some methods. One that ends in / has
// the rest of the path as its parameter.
type route struct {
	path    string
	methods []string
	need    role // 0 where no token is asked for
	serve   func(in *Ingress, ctx *fasthttp.RequestCtx, rest, query []byte)
}

var reading = []string{"GET", "HEAD"}

// routes are all that there is; /openapi.yaml describes each. What is asked for
// most comes first.
var routes = []route{
	{"/increment", []string{"POST"}, roleIncrement, func(in *Ingress, ctx *fasthttp.RequestCtx, _, query []byte) { in.increment(ctx, query) }},
	{"/v1/increments", []string{"POST"}, roleIncrement, (*Ingress).increments},
	{"/v1/numbers/", reading, roleRead, (*Ingress).number},
	{"/v1/numbers/", []string{"PUT", "DELETE"}, roleAdmin, (*Ingress).replace},
	{"/v1/numbers", reading, roleRead, (*Ingress).numbers},
	{"/v1/watch", []string{"GET"}, roleRead, (*Ingress).watch},
	{"/openapi.yaml", reading, 0, (*Ingress).openAPI},
	{"/livez", reading, 0, (*Ingress).live},
	{"/readyz", reading, 0, (*Ingress).ready},
}

// match says whether the route is for a path, and what of it is its parameter.
func (r *route) match(path []byte) (rest []byte, ok bool) {
	if strings.HasSuffix(r.path, "/") {
		return bytes.CutPrefix(path, []byte(r.path))
	}
	return nil, string(path) == r.path
}

func (r *route) takes(method []byte) bool {
	for _, m := range r.methods {
		if string(method) == m {
			return true
		}
	}
	return false
}

// route serves a request, where there is something for it.
func (in *Ingress) route(ctx *fasthttp.RequestCtx, path, query []byte) {
	var allowed []string
	for i := range routes {
		r := &routes[i]
		rest, ok := r.match(path)
		if !ok {
			continue
		}
		if !r.takes(ctx.Method()) {
			allowed = append(allowed, r.methods...)
			continue
		}
		if r.need == 0 || in.permit(ctx, r.need) {
			r.serve(in, ctx, rest, query)
		}
		return
	}
	if len(allowed) == 0 {
		in.fail(ctx, newProblem(404, "nothing is served at %s: see POST /increment, POST /v1/increments, GET /v1/numbers/{key} and, for all there is, GET /openapi.yaml", quote(path)))
		return
	}
	list := strings.Join(allowed, ", ")
	p := newProblem(405, "%s is not for this path: use %s", quote(ctx.Method()), list)
	p.allow = list
	in.fail(ctx, p)
}
