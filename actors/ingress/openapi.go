package ingress

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

// openAPI describes every route, for programs and their makers.
//
//go:embed openapi.yaml
var openAPI []byte

func (in *Ingress) openAPI(ctx *fasthttp.RequestCtx, _, _ []byte) {
	ctx.SetContentType("application/yaml")
	ctx.SetBody(openAPI)
}
