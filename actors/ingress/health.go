package ingress

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// Check says whether the ingress takes increments.
func (in *Ingress) Check(context.Context) error {
	if in.draining.Load() {
		return piccolo.ErrStopping
	}
	if err := in.refuse.Load(); err != nil {
		return *err
	}
	return nil
}

// CheckSpool says what the spool holds that cannot be published, by file and
// reason. That keeps nobody from work.
func (in *Ingress) CheckSpool(context.Context) error {
	if err := in.unpublished.Load(); err != nil {
		return *err
	}
	return nil
}

func (in *Ingress) live(ctx *fasthttp.RequestCtx, _, _ []byte) {
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString("ok\n")
}

func (in *Ingress) ready(ctx *fasthttp.RequestCtx, _, _ []byte) {
	if err := in.Check(ctx); err != nil {
		in.fail(ctx, unavailable(err))
		return
	}
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString("ready\n")
}
