package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The nats-server that is to be installed is the one that the tests run.
func TestDocumentedNATSServer(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	server := regexp.MustCompile(`github.com/nats-io/nats-server/v2 (v\S+)`).FindSubmatch(mod)
	if server == nil || !bytes.Contains(doc, []byte("nats-server/v2@"+string(server[1])+" ")) {
		t.Errorf("docs/production.md does not install the version of go.mod, %q", server)
	}
}

// The documentation names no command and no flag that there is not.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var (
		fenced  = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
		inline  = regexp.MustCompile("`([^`]+)`")
		piccolo = regexp.MustCompile(`(?:^|sudo -u piccolo |\| |&& |\./cmd/)piccolo( (?:--config|[a-z])[^#|;&>$]*)`)
		seen    = make(map[string]bool)
	)
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
			if block[1] == "sh" {
				lines = append(lines, strings.Split(strings.ReplaceAll(block[2], "\\\n", ""), "\n")...)
			}
		}
		for _, span := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			lines = append(lines, strings.Join(strings.Fields(span[1]), " "))
		}
		for _, line := range lines {
			for _, found := range piccolo.FindAllStringSubmatch(line, -1) {
				args := strings.Fields(found[1])
				if len(args) > 2 && args[0] == "--config" { // of a machine where it is installed
					args = args[2:]
				}
				name := filepath.Base(file) + ": " + strings.Join(args, " ")
				if seen[name] {
					continue
				}
				seen[name] = true
				for i, arg := range args {
					if strings.HasSuffix(arg, "/numbers.db") {
						args[i] = os.DevNull // which is there, as some commands ask
					}
				}
				var stdout, stderr bytes.Buffer
				// With --help, what is mistyped is an error all the same, and nothing runs.
				if code := command(append(args, "--help"), &stdout, &stderr); code != 0 {
					t.Errorf("%s: %s", name, stderr.String())
				}
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("there are %d commands in the documentation, are some overlooked?", len(seen))
	}
}
