// Package leak finds goroutines that the tests of a package left.
package leak

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines have that are about to end. What is left
// after that ends never, or on a machine that is of no use for tests.
const patience = time.Minute

// Main runs the tests and returns the exit code: not 0 where they fail, or
// leave goroutines.
func Main(m interface{ Run() int }, options ...goleak.Option) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	http.DefaultClient.CloseIdleConnections() // each is two goroutines
	err := goleak.Find(options...)
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
		err = goleak.Find(options...) // which waits in vain for a second or so
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
