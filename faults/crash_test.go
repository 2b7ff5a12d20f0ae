package faults_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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
				f := measure(t, 1, "all in one dies at a crash point")
				l := s.load(b, 6, "stored", "applied", "stored")
				for _, at := range []string{first, then} {
					s.launch("PICCOLO_CRASHPOINT=" + at)
					s.wait()
					if !s.now.killed() {
						t.Fatalf("the service was to die at %s, and ended with: %v", at, s.now.err)
					}
					b.crashed()
					f.Times++
				}
				died := time.Now()
				s.start()
				f.back(s, b, died)
				l.await(s, counted, 50)
				l.stop()
				s.quiet()
				b.crashed()
				b.check(t, s.contents())
				s.undisturbed()
				s.stop()
				f.check(b, s.contents())
			})
		}
	}
}

// The same where ingress, writer and NATS server are processes of their own: an
// ingress or a writer dies at every crash point that it passes, one after the
// other, while the others go on.
func TestCrashParts(t *testing.T) {
	t.Parallel()
	for _, dying := range []role{ingressOnly, writerOnly} {
		t.Run(string(dying), func(t *testing.T) {
			t.Parallel()
			p := newParts(t, 2, "--ack-timeout=300ms")
			victim := map[role]*service{ingressOnly: p.ingress, writerOnly: p.writer}[dying]
			for _, s := range []*service{p.writer, p.ingress} {
				if s != victim {
					s.start()
				}
			}
			b := newBook()
			f := measure(t, 1, fmt.Sprintf("%s dies at a crash point, of three processes", dying))
			l := p.ingress.loadKeys(b, 6, manyKeys(500), "stored", "applied", "stored")
			for _, point := range slices.Sorted(maps.Keys(crashPoints)) {
				if strings.HasPrefix(point, "flush.") != (dying == ingressOnly) {
					continue // the other passes it
				}
				for _, nth := range crashPoints[point] {
					at := fmt.Sprintf("%s:%d", point, nth)
					victim.launch("PICCOLO_CRASHPOINT=" + at)
					victim.wait()
					if !victim.now.killed() {
						t.Fatalf("the %s was to die at %s, and ended with: %v", dying, at, victim.now.err)
					}
					died := time.Now()
					if dying == ingressOnly {
						b.crashed()
					}
					f.Times++
					victim.start()
					f.back(p.ingress, b, died)
				}
			}
			l.await(p.ingress, counted, 50)
			l.stop()
			b.crashed() // an ingress that died may have given any of these replies
			p.finish(b)
			f.settle(b, p.writer.contents())
		})
	}
}
