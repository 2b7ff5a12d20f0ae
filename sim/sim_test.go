package sim_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds    = flag.Int("seeds", 3000, "how many seeds to run")
	first    = flag.Uint64("first", 1, "the first of them")
	repeated = flag.Int("repeated", 50, "how many seeds to run twice")
	seed     = flag.Uint64("seed", 0, "the only seed to run, with what happens in it")
	goOn     = flag.Bool("all", false, "go on after a seed that fails")
	lines    = flag.Int("lines", 100, "how many of the last things to show")
)

// farewell is how long the last goroutines of processes that have ended may
// sleep.
const farewell = 2 * time.Minute

// tryOne runs a seed.
func tryOne(t *testing.T, seed uint64, m mutant, tr *trace, dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if tr != nil {
				fmt.Println(tr.last(*lines))
				buf := make([]byte, 1<<20)
				fmt.Println(string(buf[:runtime.Stack(buf, true)]))
			}
			panic(fmt.Sprintf("seed %d: %v", seed, p))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		err = run(seed, m, tr, dir)
		time.Sleep(farewell)
	})
	return err
}

// TestSeeds runs many worlds.
func TestSeeds(t *testing.T) {
	oneProcessor(t)
	dir := tempDir(t)
	if *seed != 0 {
		tr := new(trace)
		err := tryOne(t, *seed, mutant{}, tr, dir)
		t.Logf("\n%s", tr.last(*lines))
		if err != nil {
			t.Error(err)
		}
		return
	}
	for n := range uint64(*seeds) {
		if err := tryOne(t, *first+n, mutant{}, nil, dir); err != nil {
			t.Errorf("seed %d: %v\n\tgo test ./sim -run 'TestSeeds$' -seed %[1]d", *first+n, err)
			if !*goOn {
				return
			}
		}
	}
}

// oneProcessor keeps goroutines that take turns from moving between processors.
func oneProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// tempDir is a directory in memory where there is one: what is to be seen here
// is what is written, not whether it is synced.
func tempDir(t *testing.T) string {
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "piccolo-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
