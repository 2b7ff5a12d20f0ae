package main

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// frame are the actors that every process has around its own: what stops them
// and reads files again, what tells systemd, and what shows the process to
// whoever runs it.
type frame struct {
	*service
	group    *group
	notifier *notifier
	reports  *reporter
	page     *admin.Admin // listens already
}

// openFrame makes the frame of a process that is otherwise open, of which checks
// say whether it does its work, status what it has done, and loops whether they
// get on. From now on signals are caught.
func (s *service) openFrame(a *adminFlags, status func(time.Duration) string, loops []*loop, checks ...admin.Check) (*frame, error) {
	checks = s.checks(checks...)
	l, err := net.Listen("tcp", a.Admin)
	if err != nil {
		return nil, fmt.Errorf("the admin page cannot listen on %s: %w: choose another address with --admin", a.Admin, err)
	}
	page := admin.New(l, admin.Config{Metrics: s.metrics.Metrics, Checks: checks, Deployment: s.deployment, Lookup: s.lookup, Log: s.log})
	notifier, err := newNotifier(s.log)
	if err != nil {
		return nil, err
	}
	notifier.checks, notifier.status, notifier.loops = checks, status, loops
	f := &frame{
		service: s, group: newGroup(s.log), notifier: notifier, page: page,
		reports: s.openReporter(url("http", page.Addr()), checks),
	}
	f.group.signals(syscall.SIGINT, syscall.SIGTERM)
	return f, nil
}

// named is one of a process's own actors.
type named struct {
	name string
	actor
}

// run runs the actors until the first ends, and then interrupts one after the
// other, those of the process in their order.
func (f *frame) run(own ...named) error {
	f.group.add("notifier", f.notifier)
	f.group.add("reload", f.reload)
	for _, n := range own {
		f.group.add(n.name, n.actor)
	}
	if f.tracer != nil {
		f.group.add("traces", f.tracer) // after what makes them
	}
	f.group.add("reports", f.reports)
	f.group.add("admin", f.page)
	return f.group.run(f.stop.StopTimeout)
}
