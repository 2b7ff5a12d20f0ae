package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// probe says whether a service that takes increments is at url.
func probe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	reply, err := http.DefaultClient.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the service at %s does not answer: %w", url, err)
	case err != nil:
		return fmt.Errorf("no service can be reached at %s: %w: start it with piccolo all-in-one, or say where it is with --url", url, err)
	}
	defer reply.Body.Close()
	switch reply.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return fmt.Errorf("the service at %s takes no increments now: %s", url, reason(reply))
	}
	return fmt.Errorf("what answers at %s says %s to GET /readyz: if it is not piccolo, say where that is with --url", url, reply.Status)
}

// reason is what the service says about its status.
func reason(reply *http.Response) string {
	var problem struct{ Detail string }
	if json.NewDecoder(io.LimitReader(reply.Body, 4<<10)).Decode(&problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	return reply.Status
}
