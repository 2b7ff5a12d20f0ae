package main

import (
	"context"
	"errors"
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
