package ingress

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// permit says whether a request may do what takes a role, and refuses it where
// it may not. It comes before a request is decoded, so that nothing is counted
// and a stranger learns nothing.
func (in *Ingress) permit(ctx *fasthttp.RequestCtx, need role) bool {
	if in.Tokens == nil {
		return true
	}
	p := in.Tokens.check(ctx.Request.Header.PeekAll(fasthttp.HeaderAuthorization), need)
	if p == nil {
		return true
	}
	in.fail(ctx, p)
	return false
}

// check is the refusal of a request with these Authorization headers, nil
// where the token has the role.
func (t *Tokens) check(headers [][]byte, need role) *problem {
	if len(headers) > 1 {
		return unauthorized("the request has Authorization more than once")
	}
	var presented []byte
	if len(headers) == 1 {
		presented = bearer(headers[0])
	}
	if len(presented) == 0 {
		return unauthorized("the request has no token: send the header Authorization: Bearer TOKEN")
	}
	switch has := t.roles(presented); {
	case has == 0:
		return unauthorized("the token is not known here")
	case has&need == 0:
		return newProblem(403, "the token does not have the role %s, which this takes", need)
	}
	return nil
}

// unauthorized is the 401 of a request whose token is missing or wrong. Its
// detail never shows what came: it may be nearly a token.
func unauthorized(detail string) *problem {
	p := newProblem(401, "%s", detail)
	p.authenticate = "Bearer"
	return p
}

// bearer returns the token of an Authorization header, nothing where the
// header has none.
func bearer(header []byte) []byte {
	scheme, token, _ := bytes.Cut(header, []byte{' '})
	if !bytes.EqualFold(scheme, []byte("Bearer")) {
		return nil
	}
	return bytes.TrimLeft(token, " ")
}
