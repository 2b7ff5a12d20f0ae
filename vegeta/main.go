// Command vegeta attacks a running piccolo with one of two loads, and then
// checks the math: for every key, the sum in the database against the sum that
// was acknowledged.
//
//	piccolo all-in-one &
//	go run ./vegeta --profile insane
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// Exit codes, which are those of piccolo.
const (
	exitFailed = 1 // the attack failed, or the math is wrong
	exitUsage  = 80
)

type flags struct {
	Profile     string        `help:"What is counted: one key, or an insane number of them." enum:"one,insane" default:"one"`
	URL         string        `name:"url" help:"Where the service is." default:"http://localhost:3333"`
	DB          string        `name:"db" help:"The service's database." default:"piccolo-data/numbers.db"`
	Duration    time.Duration `help:"How long to attack; 0: until it is interrupted." default:"10s"`
	Rate        int           `help:"Requests a second (default: 1100 for one, 9000 for insane)." placeholder:"N"`
	Ack         piccolo.Ack   `help:"What a reply waits for: memory, stored or applied." default:"stored"`
	Connections int           `help:"Connections open at once, at most." default:"256"`
	Workers     int           `help:"Requests that wait for a connection or a reply at once, at most: beyond that the rate is not kept." default:"1024"`
	Seed        uint64        `help:"Makes the keys and values of insane: the same seed, the same keys." default:"1"`
	Wait        time.Duration `help:"How long the sums may take to arrive in the database." default:"10s"`
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
		{f.Wait >= 0, "--wait", "0 or more"},
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
	// The first signal ends the attack, and what was acknowledged until then
	// is checked; the second ends the program.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func command(attacking context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var f flags
	exited := -1
	parser, err := kong.New(&f,
		kong.Name("vegeta"),
		kong.Description("Attacks a running piccolo, and checks every key's sum afterwards."),
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
	right, err := f.run(attacking, stdout, stderr)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "vegeta: %v\n", err)
	}
	if err != nil || !right {
		return exitFailed
	}
	return 0
}

// run attacks for as long as attacking has not ended, and checks the math.
func (f *flags) run(attacking context.Context, stdout, stderr io.Writer) (right bool, err error) {
	increments := profiles[f.Profile].increments(f.Seed)
	targets := targets(f.URL, f.Ack, increments)
	if f.Targets {
		return true, writeTargets(stdout, targets)
	}

	ctx := context.Background()
	if err := probe(ctx, f.URL); err != nil {
		return false, err
	}
	db, err := sqlite.OpenReader(ctx, f.DB)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("%w: run this where the service was started, or name its database with --db", err)
	} else if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	tally, before := newTally(increments), make(map[string]int64)
	if err := read(ctx, db, tally.keys, before); err != nil {
		return false, err
	}
	attack := attack{
		name: f.Profile, targets: targets,
		rate: f.rate(), duration: f.Duration, connections: f.Connections, workers: f.Workers,
	}
	f.announce(stderr, len(tally.keys))
	results := attack.run(attacking, tally, newProgress(stderr))
	reportErr := results.report(stdout)
	plotErr := results.writePlot(f.plot())
	if plotErr == nil {
		_, _ = fmt.Fprintf(stderr, "The latencies are plotted in %s.\n", f.plot())
	}

	_, _ = fmt.Fprintf(stderr, "Checking every key's sum in %s.\n", f.DB)
	verdict, err := check(ctx, db, tally, before, f.Wait)
	if err != nil {
		return false, errors.Join(reportErr, plotErr, err)
	}
	return verdict.right(), errors.Join(reportErr, plotErr, verdict.print(stdout, f.DB, f.URL))
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
The same with the plain vegeta command, without the check:

  %s

`, f.URL, incrementPath, grouped(keys), noun, grouped(f.rate()), duration, ackMeans[f.Ack], f.plainCommand())
}

var ackMeans = [...]string{
	piccolo.AckMemory:  "memory",
	piccolo.AckStored:  "the stream",
	piccolo.AckApplied: "the database",
}
