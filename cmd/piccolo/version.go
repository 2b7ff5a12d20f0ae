package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the build of a package: -ldflags "-X main.release=1.2.3". The commit is
// only for a source whose commit go build does not find out.
var (
	release = "0.1.0-dev"
	commit  string
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *versionCmd) Run(out output) error {
	if c.JSON {
		return printJSON(out.stdout, map[string]string{"version": version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	_, err := fmt.Fprintf(out.stdout, "piccolo %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the release and, where the build knows it, the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	v, modified := release, ""
	if commit != "" {
		v += "+" + commit
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12 && commit == "":
			v += "+" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ".modified"
		}
	}
	return v + modified
}
