package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

// A server that is unhealthy for a moment goes on; one that stays so does not.
func TestLookout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moment, gone := errors.New("busy"), errors.New("gone")
		results := []error{nil, moment, moment, nil, moment, nil, gone, gone, gone}
		checks := 0
		err := newLookout(func(context.Context) error {
			checks++
			return results[checks-1]
		}).Execute()
		if !errors.Is(err, gone) || checks != len(results) {
			t.Errorf("ended with %v after %d checks, want %v after %d", err, checks, gone, len(results))
		}
	})
}

// One that stays so for a reason that a new start would meet again goes on until
// that is put right, and says so once.
func TestLookoutExcused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		gone, full := errors.New("gone"), errors.New("the disk is full")
		checks := 0
		err := newLookout(func(context.Context) error {
			checks++
			return gone
		}).excusing(func() error {
			if checks > 1 && checks <= 100 {
				return full
			}
			return nil
		}, slog.New(slog.NewTextHandler(&log, nil))).Execute()
		if !errors.Is(err, gone) || checks != 100+lookoutLimit {
			t.Errorf("ended with %v after %d checks, want %v after %d", err, checks, gone, 100+lookoutLimit)
		}
		if strings.Count(log.String(), full.Error()) != 1 {
			t.Errorf("it said: %s", log.String())
		}
	})
}

func TestLookoutInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(func(context.Context) error { return nil })
		ended := make(chan error)
		go func() { ended <- l.Execute() }()
		synctest.Wait()
		l.Interrupt(nil)
		l.Interrupt(nil) // again, which is nothing
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
