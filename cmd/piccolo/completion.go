package main

import (
	"embed"
	"slices"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

// completionCmd prints what has a shell complete the command line. It is made
// from the grammar, so that it knows what the program knows.
type completionCmd struct {
	Shell string `arg:"" help:"Your shell: ${enum}." enum:"bash,zsh,fish"`
}

// Help says how to use what is printed.
func (completionCmd) Help() string {
	return `Examples:

    source <(piccolo completion bash)
    source <(piccolo completion zsh)
    piccolo completion fish | source

The Debian package brings it along.`
}

//go:embed completion
var completions embed.FS

func (c *completionCmd) Run(ctx *kong.Context, out output) error {
	t, err := template.New(c.Shell).Funcs(template.FuncMap{
		"quote": quoteFor(c.Shell),
		"join":  func(words []string) string { return strings.Join(words, " ") },
		"trim":  func(flag string) string { return strings.TrimPrefix(flag, "--") },
	}).ParseFS(completions, "completion/"+c.Shell)
	if err != nil {
		return err
	}
	return t.Execute(out.stdout, lineups(ctx.Model.Node, nil))
}

// lineup is what may stand behind a command on the command line.
type lineup struct {
	Path     string // of the command, as it is typed
	Commands []choice
	Args     []choice // values of the positional argument
	Flags    []flagChoice
}

type choice struct{ Name, Help string }

// Described is the choice as zsh wants it.
func (c choice) Described() string { return strings.ReplaceAll(c.Name, ":", `\:`) + ":" + c.Help }

// Words are all words that may stand there.
func (l lineup) Words() string {
	var words []string
	for _, c := range slices.Concat(l.Commands, l.Args) {
		words = append(words, c.Name)
	}
	for _, f := range l.Flags {
		words = append(words, f.Name)
	}
	return strings.Join(words, " ")
}

type flagChoice struct {
	choice
	Value  bool     // it takes one
	Values []string // all that it may be, where that is known
	File   bool     // it is the name of a file or a directory
}

// lineups walks the grammar.
func lineups(n *kong.Node, above []string) []lineup {
	path := append(slices.Clone(above), n.Name)
	l := lineup{Path: strings.Join(path, " ")}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			l.Flags = append(l.Flags, flagChoice{
				choice: choice{"--" + f.Name, oneLine(f.Help)},
				Value:  !f.IsBool() && f.Name != "help", Values: values(f.Value),
				File: f.Tag.Type == "path" || f.Name == "config",
			})
		}
	}
	for _, arg := range n.Positional {
		for _, v := range values(arg) {
			l.Args = append(l.Args, choice{v, oneLine(arg.Help)})
		}
	}
	all := []lineup{}
	for _, child := range n.Children {
		if child.Hidden || child.Type != kong.CommandNode {
			continue
		}
		l.Commands = append(l.Commands, choice{child.Name, oneLine(child.Help)})
		all = append(all, lineups(child, path)...)
	}
	return append([]lineup{l}, all...)
}

func values(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

// oneLine is the first sentence of a help text.
func oneLine(help string) string {
	help, _, _ = strings.Cut(strings.Join(strings.Fields(help), " "), ". ")
	return strings.TrimSuffix(help, ".")
}

// quoteFor quotes a word for a shell.
func quoteFor(shell string) func(string) string {
	return func(s string) string {
		if shell == "fish" { // which has escapes between single quotes
			return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
		}
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
}
