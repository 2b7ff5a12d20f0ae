package main

import (
	"encoding/json"
	"fmt"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

type configCmd struct {
	Show configShowCmd `cmd:"" help:"Print the settings that all-in-one would have, as a file for --config."`
}

// configShowCmd takes what all-in-one takes, and runs nothing.
type configShowCmd struct {
	allInOneCmd `embed:""`

	JSON bool `name:"json" help:"Print JSON, not YAML."`
}

func (c *configShowCmd) Run(ctx *kong.Context, out output) error {
	c.DB = c.dbPath(c.dataFlags)
	settings := make(map[string]any)
	for _, flag := range ctx.Flags() {
		switch flag.Name {
		case "help", "config", "json": // these are no settings
		default:
			settings[flag.Name] = plain(flag.Target.Interface())
		}
	}
	if c.JSON {
		enc := json.NewEncoder(out.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(settings)
	}
	return yaml.NewEncoder(out.stdout).Encode(settings)
}

// plain is a flag's value as it is written in a file.
func plain(value any) any {
	switch v := value.(type) {
	case fmt.Stringer: // a duration, a size, an ack mode
		return v.String()
	case string:
		return unresolved(v)
	}
	return value
}
