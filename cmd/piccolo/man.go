package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

// manCmd prints the man page, in roff. Commands and flags are the grammar's.
type manCmd struct{}

//go:embed piccolo.1.tmpl
var manPage string

func (manCmd) Run(ctx *kong.Context, out output) error {
	t, err := template.New("man").Funcs(template.FuncMap{"roff": roff, "flag": roffFlag, "help": formatHelp}).Parse(manPage)
	if err != nil {
		return err
	}
	return t.Execute(out.stdout, struct {
		Version  string
		App      *kong.Node
		Commands []*kong.Node
	}{version(), ctx.Model.Node, ctx.Model.Leaves(true)})
}

// roff escapes a text.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") { // a request of roff's
			line = `\&` + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// roffFlag is a flag as it is typed, in bold, and its value, underlined.
func roffFlag(f *kong.Flag) string {
	name := fmt.Sprintf(`\fB%s\fR`, roff("--"+f.Name))
	if f.Short != 0 {
		name = fmt.Sprintf(`\fB%s\fR, `, roff("-"+string(f.Short))) + name
	}
	if !f.IsBool() {
		name += fmt.Sprintf(`=\fI%s\fR`, roff(f.FormatPlaceHolder()))
	}
	return name
}
