package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// differencesShown is how many keys that differ are listed.
const differencesShown = 10

// print tells what was found in the database db of the service at url, and
// where it is wrong, what may be the reason.
func (v *verdict) print(w io.Writer, db, url string) error {
	var b strings.Builder
	b.WriteByte('\n')
	switch total := v.total(); {
	case v.outcomes[acknowledged] == 0:
		b.WriteString("The math was not put to the test: nothing was acknowledged. The errors are in the report above.\n\n")
	case len(v.differ) == 0:
		b.WriteString("The math is right.\n\n")
	case v.change == 0 && total.acked != 0:
		fmt.Fprintf(&b, "The math is wrong: nothing changed in %s. Is that the database of the service at %s?\n\n", db, url)
	default:
		fmt.Fprintf(&b, "The math is wrong: %s of %s keys differ.\n\n", grouped(len(v.differ)), grouped(len(v.keys)))
	}
	v.printSums(&b, db)
	if len(v.differ) > 0 {
		b.WriteByte('\n')
		v.printDifferences(&b)
		fmt.Fprintf(&b, `
  It did not come right within %s. If the writer is merely behind, a longer
  --wait shows it. If something else counts these keys too, stop that first. If
  the service crashed, what it had acknowledged from memory (202) is gone.
`, v.waited.Round(time.Second/10))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (v *verdict) printSums(b *strings.Builder, db string) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  increments\t%s acknowledged, %s refused, %s unknown\n",
		grouped(v.outcomes[acknowledged]), grouped(v.outcomes[refused]), grouped(v.outcomes[unknown]))
	fmt.Fprintf(t, "  keys\t%s checked, %s differ\n", grouped(len(v.keys)), grouped(len(v.differ)))
	total := v.total()
	fmt.Fprintf(t, "  sum\t%s acknowledged\n", grouped(total.acked))
	if total.low != 0 || total.high != 0 {
		fmt.Fprintf(t, "  \t%s with what is unknown\n", total)
	}
	fmt.Fprintf(t, "  \t%s in %s\n", grouped(v.change), db)
	_ = t.Flush() // to memory
}

func (v *verdict) printDifferences(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "  KEY\tEXPECTED\tFOUND\n")
	for i, d := range v.differ {
		if i == differencesShown {
			fmt.Fprintf(t, "  … and %s more\n", grouped(len(v.differ)-i))
			break
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", d.key, d.account, grouped(d.change))
	}
	_ = t.Flush() // to memory
}

// String is the change that is allowed, or the least and the most.
func (a account) String() string {
	if a.low == 0 && a.high == 0 {
		return grouped(a.acked)
	}
	return grouped(a.acked+a.low) + " … " + grouped(a.acked+a.high)
}
