package main

import "errors"

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

// broken is the error of a command that found something that must not be: not
// ready, or an invariant broken.
func broken(err error) error { return exitError{exitBroken, err} }

// exitCode is what the process ends with after err.
func exitCode(err error) int {
	var e exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.code
	}
	return exitFailed
}
