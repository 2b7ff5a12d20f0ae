package main

import (
	"fmt"
	"strings"
)

// plainCommand is the same attack for the shell and the vegeta command alone.
func (f *flags) plainCommand() string {
	var from, targets []string
	if p := profiles[f.Profile]; p.bodyFile != "" {
		from = []string{"echo", quote("POST " + f.URL + incrementPath)}
		targets = []string{
			"-body=" + p.bodyFile,
			"-header=" + quote("Content-Type: "+formType),
			"-header=" + quote(ackHeader+": "+f.Ack.String()),
		}
	} else {
		from = []string{
			"go run ./vegeta --targets", "--profile=" + f.Profile, fmt.Sprintf("--seed=%d", f.Seed),
			"--url=" + quote(f.URL), "--ack=" + f.Ack.String(),
		}
		targets = []string{"-format=json"}
	}
	attack := append([]string{"vegeta attack"}, targets...)
	attack = append(attack,
		fmt.Sprintf("-rate=%d/s", f.rate()),
		fmt.Sprintf("-duration=%s", f.Duration),
		fmt.Sprintf("-connections=%d", f.Connections),
		fmt.Sprintf("-max-connections=%d", f.Connections),
		fmt.Sprintf("-max-workers=%d", f.Workers),
	)
	return strings.Join(from, " ") + " | " + strings.Join(attack, " ") + " | vegeta report"
}

// quote makes s one word of a shell's command line.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
