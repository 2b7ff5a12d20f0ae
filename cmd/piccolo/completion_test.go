package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What a shell offers behind a line that was typed.
func TestCompletion(t *testing.T) {
	shells := map[string]string{ // a program that completes $line, a choice a line
		"bash": `eval "$script"
			read -ra COMP_WORDS <<<"${line//=/ = }"
			[[ $line == *[\ =] ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_piccolo
			printf '%s\n' "${COMPREPLY[@]}"`,
		"zsh": `compdef() {}
			eval "$script"
			compadd() { shift; print -rl -- $@ }
			_files() { print -rl -- * }
			_message() {}
			compset() { words[CURRENT]=${words[CURRENT]#*=} }
			_describe() { local c; for c in ${(P)4}; do print -r -- ${c%%:*}; done }
			words=(${=line}); [[ $line == *' ' ]] && words+=('')
			CURRENT=$#words
			_piccolo | while read -r choice; do [[ $choice == ${words[CURRENT]#*=}* ]] && print -r -- $choice; done; true`,
		"fish": `eval (string collect -- $script)
			complete -C "$line" | string replace -r '\t.*' '' | string replace -r '^--[^=]*=(.)' '$1'
			true`,
	}
	for shell, program := range shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("no ", shell)
			}
			var script, stderr bytes.Buffer
			if code := command([]string{"completion", shell}, &script, &stderr); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr.String())
			}
			for _, c := range []struct {
				line string
				want []string // all of it, where it does not end in ...
			}{
				{"piccolo all", []string{"all-in-one"}},
				{"piccolo co", []string{"completion", "config"}},
				{"piccolo config ", []string{"show", "..."}},
				{"piccolo config show --flush", []string{"--flush-interval"}},
				{"piccolo --log-level debug config show --flush", []string{"--flush-interval"}},
				{"piccolo writer --flush", nil},
				{"piccolo --log-format ", []string{"auto", "json", "text"}},
				{"piccolo --log-level=w", []string{"warn"}},
				{"piccolo all-in-one --sync ", []string{"always", "interval"}},
				{"piccolo completion ", []string{"bash", "fish", "zsh", "..."}},
				{"piccolo --config completion_t", []string{"completion_test.go"}},
				{"piccolo all-in-one --listen ", nil},
				{"piccolo ma", nil}, // hidden
			} {
				cmd := exec.Command(shell, "-c", program)
				if shell == "zsh" {
					cmd = exec.Command(shell, "-f", "-c", program)
				}
				cmd.Env = append(cmd.Environ(), "line="+c.line, "script="+script.String(), "HOME="+t.TempDir())
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%q: %v: %s", c.line, err, out)
				}
				got := strings.Fields(string(out))
				slices.Sort(got)
				if n := len(c.want); n > 0 && c.want[n-1] == "..." {
					for _, word := range c.want[:n-1] {
						if !slices.Contains(got, word) {
							t.Errorf("%q: %q lacks %q", c.line, got, word)
						}
					}
				} else if !slices.Equal(got, c.want) {
					t.Errorf("%q: %q, want %q", c.line, got, c.want)
				}
			}
		})
	}
}

// The man page has every command and flag that help has, and is good roff.
func TestManPage(t *testing.T) {
	var page, stderr bytes.Buffer
	if code := command([]string{"man"}, &page, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, want := range []string{".SS piccolo config show", `\fB\-\-flush\-interval\fR=\fID\fR`, `default 20ms; $PICCOLO_FLUSH_INTERVAL`, ".SH EXIT STATUS"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("no man to check it with")
	}
	cmd := exec.Command("man", "--local-file", "--warnings", "-")
	cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=100")
	cmd.Stdin, cmd.Stderr = &page, &stderr
	shown, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("man: %v: %s", err, stderr.String())
	}
	if !strings.Contains(string(shown), "--stop-timeout=D") {
		t.Errorf("man shows %s", shown)
	}
}
