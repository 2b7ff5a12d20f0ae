package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

// clientFlags are those of the commands that use the API.
type clientFlags struct {
	Server    string        `help:"Where the API is." default:"http://127.0.0.1:3333" placeholder:"URL"`
	Token     string        `help:"Bearer token, where the API asks for one. Others may see it in the list of processes: better use --token-file or the environment." default:"" placeholder:"TOKEN"`
	TokenFile string        `help:"File with the token." type:"path" default:"" placeholder:"FILE"`
	RetryFor  time.Duration `help:"How long to try again while the API is away or busy; 0 to not." default:"${retry}" placeholder:"D"`
	JSON      bool          `name:"json" help:"Print JSON, an object a line."`
}

func (f *clientFlags) connect() (*client.Client, error) {
	token := f.Token
	if f.TokenFile != "" {
		if token != "" {
			return nil, errors.New("--token and --token-file: give one of them")
		}
		data, err := os.ReadFile(f.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		if token = strings.TrimSpace(string(data)); token == "" {
			return nil, fmt.Errorf("--token-file: %s is empty", f.TokenFile)
		}
	}
	c, err := client.New(f.Server, client.WithToken(token), client.WithRetry(f.RetryFor))
	if err != nil {
		return nil, exitError{exitUsage, fmt.Errorf("--server: %w", err)}
	}
	return c, nil
}

var errInterrupted = errors.New("interrupted")

// explain says what to do about a call that failed, and tells a service that is
// not there from one that refuses.
func (f *clientFlags) explain(err error) error {
	var problem *client.Problem
	var transport *neturl.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.As(err, &problem) && problem.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: name one with --token-file FILE or $PICCOLO_TOKEN", err)
	case errors.As(err, &problem):
		switch problem.Status {
		case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
			return broken(err)
		case http.StatusNotFound: // the API says more
			if problem.Detail == "" {
				return fmt.Errorf("%w from %s: is that the API of a piccolo? say where it is with --server", err, f.Server)
			}
		}
		return err
	case errors.As(err, &transport):
		return broken(fmt.Errorf("no answer from %s: %w: start it with piccolo all-in-one, or say where it is with --server", f.Server, transport.Err))
	}
	return err
}

// untilInterrupted is a context that ends with Ctrl-C or SIGTERM. The second
// kills.
func untilInterrupted() (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
