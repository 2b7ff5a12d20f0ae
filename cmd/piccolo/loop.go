package main

import (
	"log/slog"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// loop is what the watchdog watches. It is stuck when it stands still although
// work is waiting: what has nothing to do has nothing to show. A timer that
// feeds the watchdog would prove that timers run.
type loop struct {
	name string
	// progress has an item for each part that can get stuck by itself.
	progress func() []piccolo.Progress
	// patient says that an attempt which nobody answered is progress too: the
	// answer is up to other machines, and a restart would not bring it.
	patient bool
	// excuse says why the loop may stand still all the same; nil for never.
	excuse func() error

	parts []part // as they were when last looked at
}

type part struct {
	steps uint64
	since time.Time // when it was first seen to stand still with work waiting; zero while it does not
	told  bool      // the log says so
}

// progressing looks at the loop, and says whether no part has been standing
// still for limit.
func (l *loop) progressing(log *slog.Logger, now time.Time, limit time.Duration) bool {
	progress := l.progress()
	if l.parts == nil {
		l.parts = make([]part, len(progress))
	}
	ok := true
	for i, seen := range progress {
		steps := seen.Steps
		if l.patient {
			steps += seen.Unanswered
		}
		p := &l.parts[i]
		if !seen.Waiting || steps != p.steps {
			*p = part{steps: steps}
			continue
		}
		if p.since.IsZero() {
			p.since = now
		}
		if now.Sub(p.since) < limit {
			continue
		}
		if l.excused() {
			p.since = now // it has as long again
			continue
		}
		ok = false
		if !p.told {
			p.told = true
			log.Error("work is waiting and nothing moves: the watchdog will restart the service",
				"loop", l.name, "part", i, "for", now.Sub(p.since))
		}
	}
	return ok
}

func (l *loop) excused() bool { return l.excuse != nil && l.excuse() != nil }

// one makes a list of what has one part.
func one(progress func() piccolo.Progress) func() []piccolo.Progress {
	return func() []piccolo.Progress { return []piccolo.Progress{progress()} }
}
