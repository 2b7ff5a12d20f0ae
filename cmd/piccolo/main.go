// Command piccolo is a counter service: it sums increments per key, exactly,
// into a SQLite database.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/piccolo-counter/piccolo"
)

// Exit codes of the contract.
const (
	exitFailed = 1
	exitBroken = 2 // not ready, or an invariant is broken
	exitUsage  = 80
)

type cli struct {
	Config    kong.ConfigFlag `help:"Read settings from a YAML FILE; flags and environment win over it." placeholder:"FILE"`
	LogFormat string          `help:"How logs look: ${enum}. Auto is text, with journald's levels under systemd." enum:"auto,text,json" default:"auto"`
	LogLevel  string          `help:"The least that is logged: ${enum}." enum:"debug,info,warn,error" default:"info"`

	AllInOne allInOneCmd `cmd:"" help:"Run everything in this process: HTTP, NATS, SQLite."`
	Ingress  ingressCmd  `cmd:"" help:"Run the HTTP door alone, against a NATS server."`
	Writer   writerCmd   `cmd:"" help:"Run the writer alone, against a NATS server."`

	Incr  incrCmd  `cmd:"" help:"Add to a key, or to many."`
	Get   getCmd   `cmd:"" help:"Read keys."`
	Ls    lsCmd    `cmd:"" help:"List keys with their values."`
	Watch watchCmd `cmd:"" help:"Print totals as they change."`
	Set   setCmd   `cmd:"" help:"Make a value the total of a key."`
	Clear clearCmd `cmd:"" help:"Remove keys."`

	Stream   streamCmd  `cmd:"" help:"Look after the stream."`
	Auth     authCmd    `cmd:"" help:"Print NATS users for ingress, writer, admin and observer, with what each needs and no more."`
	Backlog  backlogCmd `cmd:"" help:"Say how far the writers are behind the stream."`
	Decode   decodeCmd  `cmd:"" help:"Read a message of the stream: nats stream view PICCOLO --translate \"piccolo decode\"."`
	DB       dbCmd      `cmd:"" name:"db" help:"Look after the database."`
	Verify   verifyCmd  `cmd:"" help:"Check that every increment that was accepted is there, once."`
	Top      topCmd     `cmd:"" help:"Watch the deployment in the terminal."`
	Demo     demoCmd    `cmd:"" help:"Run a piccolo to throw away, with some clients, and prove at the end that the sums match."`
	Doctor   doctorCmd  `cmd:"" help:"Look at everything that piccolo needs, and say how to put right what is wrong."`
	Settings configCmd  `cmd:"" name:"config" help:"Look at the settings."`
	Ready    readyCmd   `cmd:"" help:"Say whether a service on this machine does its work, check by check; exit code 2 if not."`
	Version  versionCmd `cmd:"" help:"Print the version."`

	Completion completionCmd `cmd:"" help:"Print what has a shell complete this command line."`
	Man        manCmd        `cmd:"" hidden:"" help:"Print the man page."`
}

// output is where a command writes: data to stdout, everything else to stderr.
type output struct{ stdout, stderr io.Writer }

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

func command(args []string, stdout, stderr io.Writer) (code int) {
	switch {
	case len(args) == 0: // an error, with what could have been meant
		command([]string{"--help"}, stderr, stderr)
		return exitUsage
	case args[0] == "help": // as many programs have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("piccolo"),
		kong.Description("Sums increments per key, exactly, into a SQLite database."),
		kong.Configuration(loadYAML),
		kong.DefaultEnvars("PICCOLO"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(formatHelp),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.Vars{"admin": "127.0.0.1:3334"},
	)
	if err != nil {
		panic(err) // the grammar is wrong
	}
	ctx, err := parser.Parse(negatives(args))
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		fmt.Fprintf(stderr, "piccolo: %v\nRun \"piccolo --help\" for the commands, \"piccolo COMMAND --help\" for a command's flags.\n", err)
		lastWords(err)
		return exitUsage
	}
	log, last := keepErrors(newLogger(stderr, c.LogFormat, c.LogLevel))
	ctx.Bind(log)
	ctx.Bind(last)
	ctx.Bind(output{stdout, stderr})
	err = ctx.Run()
	if err == nil {
		return 0
	}
	log.Error("piccolo failed", "error", explained(err))
	lastWords(err)
	return exitCode(err)
}

// explained is why a command failed, with what to do where only that is missing.
func explained(err error) error {
	if errors.Is(err, piccolo.ErrFenced) {
		return fmt.Errorf("%w: run one writer per database", err)
	}
	return err
}

// formatHelp says of a flag what it does, its default, and its name in the
// environment.
func formatHelp(v *kong.Value) string {
	var notes []string
	if v.HasDefault && v.Default != "" {
		notes = append(notes, "default "+v.Default)
	}
	if v.Flag != nil && len(v.Flag.Envs) > 0 {
		notes = append(notes, "$"+strings.Join(v.Flag.Envs, ", $"))
	}
	if len(notes) == 0 {
		return v.Help
	}
	return fmt.Sprintf("%s (%s).", strings.TrimSuffix(v.Help, "."), strings.Join(notes, "; "))
}
