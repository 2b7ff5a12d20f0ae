package main

import (
	"fmt"
	"time"
)

// floor is what 1.0 stands for: the no-op, which runs beside everything that is
// measured and has nothing to do meanwhile. It is put under load right before
// and right after each of them, since a core that is shared with other
// machines may be twice as fast a minute later.
type floor struct {
	stage *stage
	load  func(*stage, time.Duration) (loaded, error)
	last  float64 // ns per request
}

func (b *bench) openFloor() (*floor, error) {
	s, err := b.newStage()
	if err != nil {
		return nil, err
	}
	f := &floor{stage: s}
	noop := b.noop("fasthttp", func(api string) func(*stage, time.Duration) (loaded, error) {
		f.load = singles(b.Connections, b.Keys, keySize, "memory")(api)
		return f.load
	})
	if err = noop.start(s); err == nil {
		err = f.look(b.For)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("no-op: %w", err)
	}
	return f, nil
}

// look measures the no-op.
func (f *floor) look(d time.Duration) error {
	cpu := f.stage.cpu()
	l, err := f.load(f.stage, max(time.Second, (d/3).Round(time.Second))) // wrk counts in seconds
	if err != nil {
		return err
	}
	f.last = float64((f.stage.cpu() - cpu).Nanoseconds()) / float64(max(l.increments, 1))
	return nil
}

// beside measures a subject, and the no-op after it; what that was before is
// known.
func (f *floor) beside(b *bench, k subject) (result, error) {
	r, err := b.measure(k)
	if err != nil {
		return r, err
	}
	before := f.last
	if err := f.look(b.For); err != nil {
		return r, err
	}
	r.ratio = 2 * r.cpu / (before + f.last)
	return r, nil
}
