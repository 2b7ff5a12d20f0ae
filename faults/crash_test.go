package faults_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"
)

// crashPoints are the moments at which the service is made to die, and at which
// pass: the first, while hardly anything has happened, and later ones.
var crashPoints = map[string][]int{
	"flush.sealed":  {1, 20},
	"flush.stored":  {1, 20},
	"commit.before": {1, 7},
	"commit.after":  {1, 7},
	"ack.after":     {1, 7},
	"trim.before":   {1, 2}, // once a second
	"trim.after":    {1},
}

// The list is complete: a crash point that is added to the code is tested.
func TestCrashPointsAreThoseOfTheCode(t *testing.T) {
	call := regexp.MustCompile(`crashpoint\.Here\("([^"]+)"\)`)
	var inCode []string
	for _, m := range call.FindAllStringSubmatch(source, -1) {
		inCode = append(inCode, m[1])
	}
	slices.Sort(inCode)
	tested := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(crashPoints)), movePoints...)))
	if !slices.Equal(slices.Compact(inCode), tested) {
		t.Errorf("the code has the crash points %v, these are tested: %v", inCode, tested)
	}
}

// The service dies at a crash point under load, starts again, dies at another
// one, and starts again: every increment that was acknowledged counts, once.
func TestCrash(t *testing.T) {
	t.Parallel()
	second := []string{"commit.after", "flush.stored", "ack.after", "commit.before", "flush.sealed"}
	i := 0
	for _, point := range slices.Sorted(maps.Keys(crashPoints)) {
		for _, nth := range crashPoints[point] {
			first, then := fmt.Sprintf("%s:%d", point, nth), second[i%len(second)]
			partitions := 1 + i%2
			i++
			t.Run(first, func(t *testing.T) {
				t.Parallel()
				t.Logf("%d partitions, then a crash at %s", partitions, then)
				s := newService(t, fmt.Sprintf("--partitions=%d", partitions))
				b := newBook()
				l := s.load(b, 6, "stored", "applied", "stored")
				for _, at := range []string{first, then} {
					s.launch("PICCOLO_CRASHPOINT=" + at)
					s.wait()
					if !s.now.killed() {
						t.Fatalf("the service was to die at %s, and ended with: %v", at, s.now.err)
					}
					b.crashed()
				}
				s.start()
				l.await(s, counted, 50)
				l.stop()
				s.quiet()
				b.crashed()
				b.check(t, s.contents())
				s.undisturbed()
				s.stop()
				b.check(t, s.contents())
			})
		}
	}
}
