package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// config is a configuration file: the names of flags, with their values.
type config map[string]any

// loadYAML reads a configuration file.
func loadYAML(r io.Reader) (kong.Resolver, error) {
	settings := map[string]any{}
	dec := yaml.NewDecoder(r)
	if err := dec.Decode(&settings); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("configuration file: it holds more than one document")
	}
	return config(settings), nil
}

// Validate refuses a key that is no flag's name: a setting that was mistyped
// would be ignored otherwise. The file may serve several commands, so flags of
// any command are known.
func (c config) Validate(app *kong.Application) error {
	var known []string
	var visit func(*kong.Node)
	visit = func(n *kong.Node) {
		for _, f := range n.Flags {
			if len(f.Envs) > 0 {
				known = append(known, f.Name)
			}
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(app.Node)
	for key, value := range c {
		if !slices.Contains(known, key) || key == "config" || key == "help" {
			return fmt.Errorf("configuration file: unknown key %q: keys are the names of flags, as in flush-interval: 20ms", key)
		}
		items, ok := value.([]any)
		if !ok {
			items = []any{value}
		}
		if slices.ContainsFunc(items, notPlain) {
			return fmt.Errorf("configuration file: %s has no plain value", key)
		}
	}
	return nil
}

// notPlain says whether a value could not stand on a command line.
func notPlain(value any) bool {
	switch value.(type) {
	case nil, []any, map[string]any, map[any]any:
		return true
	}
	return false
}

// Resolve gives the value of a flag that was not on the command line. The
// environment wins over the file. What has no name in the environment is of the
// command line alone, such as the --ack of incr: the service's is another.
func (c config) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := c[flag.Name]
	if !ok || len(flag.Envs) == 0 {
		return nil, nil
	}
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	if list, ok := value.([]any); ok {
		items := make([]string, len(list))
		for i, item := range list {
			items[i] = fmt.Sprint(item)
		}
		return strings.Join(items, ","), nil
	}
	return credential(fmt.Sprint(value)), nil
}

// credentials is systemd's directory of secrets, whose path has the unit's name in
// it: a file says its variable.
const credentials = "CREDENTIALS_DIRECTORY"

// credential puts the directory of secrets in the place of its variable.
func credential(path string) string {
	if name, ok := strings.CutPrefix(path, "$"+credentials+"/"); ok && os.Getenv(credentials) != "" {
		return filepath.Join(os.Getenv(credentials), name)
	}
	return path
}

// unresolved is how a file says a path. Outside the unit there is no directory of
// secrets, and kong took the variable for a name in the working directory.
func unresolved(path string) string {
	if here, err := filepath.Abs("$" + credentials); err == nil {
		if name, ok := strings.CutPrefix(path, here+"/"); ok {
			return "$" + credentials + "/" + name
		}
	}
	return path
}
