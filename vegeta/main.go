// Command vegeta attacks a running piccolo with one of two loads.
//
//	piccolo all-in-one &
//	go run ./vegeta --profile insane
package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/piccolo-counter/piccolo"
)

// Exit codes, which are those of piccolo.
const (
	exitFailed = 1 // the attack failed
	exitUsage  = 80
)

type flags struct {
	Profile     string        `help:"What is counted: one key, or an insane number of them." enum:"one,insane" default:"one"`
	URL         string        `name:"url" help:"Where the service is." default:"http://localhost:3333"`
	Duration    time.Duration `help:"How long to attack; 0: until it is interrupted." default:"10s"`
	Rate        int           `help:"Requests a second (default: 1100 for one, 9000 for insane)." placeholder:"N"`
	Ack         piccolo.Ack   `help:"What a reply waits for: memory, stored or applied." default:"stored"`
	Connections int           `help:"Connections open at once, at most." default:"256"`
	Workers     int           `help:"Requests that wait for a connection or a reply at once, at most: beyond that the rate is not kept." default:"1024"`
	Seed        uint64        `help:"Makes the keys and values of insane: the same seed, the same keys." default:"1"`
	Plot        string        `help:"Where to write the plot of latencies (default: vegeta-PROFILE.html)." placeholder:"FILE"`
	Targets     bool          `help:"Only write the requests, for vegeta attack -format=json."`
}

// Validate is called by kong, when the flags have been read.
func (f *flags) Validate() error {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil:
		return fmt.Errorf("--url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("--url must look like http://localhost:3333, and not like %q", f.URL)
	}
	f.URL = strings.TrimRight(f.URL, "/")
	for _, c := range []struct {
		ok   bool
		flag string
		want string
	}{
		{f.Duration >= 0, "--duration", "0 or more"},
		{f.Rate >= 0, "--rate", "0 or more"},
		{f.Connections >= 1, "--connections", "at least 1"},
		{f.Workers >= 1, "--workers", "at least 1"},
	} {
		if !c.ok {
			return fmt.Errorf("%s must be %s", c.flag, c.want)
		}
	}
	return nil
}

func (f *flags) rate() int {
	if f.Rate > 0 {
		return f.Rate
	}
	return profiles[f.Profile].rate
}

func (f *flags) plot() string {
	if f.Plot != "" {
		return f.Plot
	}
	return "vegeta-" + f.Profile + ".html"
}

func main() {
	// The first signal ends the attack, the second the program.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func command(attacking context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var f flags
	exited := -1
	parser, err := kong.New(&f,
		kong.Name("vegeta"),
		kong.Description("Attacks a running piccolo."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
	)
	if err != nil {
		panic(err) // the grammar is wrong
	}
	_, err = parser.Parse(args)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "vegeta: %v\nRun \"go run ./vegeta --help\" for the flags.\n", err)
		return exitUsage
	}
	if err := f.run(attacking, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "vegeta: %v\n", err)
		return exitFailed
	}
	return 0
}

// run attacks for as long as attacking has not ended.
func (f *flags) run(attacking context.Context, stdout, stderr io.Writer) error {
	increments := profiles[f.Profile].increments(f.Seed)
	targets := targets(f.URL, f.Ack, increments)
	if f.Targets {
		return writeTargets(stdout, targets)
	}
	if err := probe(context.Background(), f.URL); err != nil {
		return err
	}
	tally := newTally(increments)
	attack := attack{
		name: f.Profile, targets: targets,
		rate: f.rate(), duration: f.Duration, connections: f.Connections, workers: f.Workers,
	}
	f.announce(stderr, len(tally.keys))
	results := attack.run(attacking, tally, newProgress(stderr))
	if err := results.report(stdout); err != nil {
		return err
	}
	return results.writePlot(f.plot())
}

// announce says what is about to happen.
func (f *flags) announce(w io.Writer, keys int) {
	duration := f.Duration.String()
	if f.Duration == 0 {
		duration = "ever, until it is interrupted"
	}
	noun := "keys"
	if keys == 1 {
		noun = "key"
	}
	_, _ = fmt.Fprintf(w, `Attacking %s%s: %s %s, %s requests a second for %s, acknowledged when in %s.
The same with the plain vegeta command:

  %s

`, f.URL, incrementPath, grouped(keys), noun, grouped(f.rate()), duration, ackMeans[f.Ack], f.plainCommand())
}

var ackMeans = [...]string{
	piccolo.AckMemory:  "memory",
	piccolo.AckStored:  "the stream",
	piccolo.AckApplied: "the database",
}
