package machine

import (
	"path/filepath"
	"testing"
)

// The production shape, on one machine: NATS, a writer and an ingress, each as
// its provisioning makes it.
func TestProduction(t *testing.T) {
	deb, nats := setting(t, "PICCOLO_MACHINE_DEB"), setting(t, "PICCOLO_MACHINE_NATS")
	m := newMachine(t)
	m.copy(deb, nats, "../vagrant/provision.sh")
	const url = " nats://127.0.0.1:4222"
	m.run("bash provision.sh nats " + filepath.Base(nats))
	m.run("bash provision.sh writer " + filepath.Base(deb) + url)
	m.run("bash provision.sh ingress " + filepath.Base(deb) + url)
	m.ready()
	m.want("systemctl is-active piccolo-ingress@3333.service piccolo-ingress@3333.socket piccolo-writer.service", "active\nactive\nactive")
	m.want("systemctl is-enabled piccolo-ingress@3333.service piccolo-ingress@3333.socket piccolo-writer.service", "enabled\nenabled\nenabled")
	m.eventuallyPrints("systemctl status piccolo-ingress@3333.service", " increments/s stored")
	m.eventuallyPrints("systemctl status piccolo-writer.service", " increments/s committed, backlog ")
	// What has everything in one process was never among them.
	m.want("systemctl is-enabled piccolo.service piccolo.socket || true", "disabled\ndisabled")
	m.want("journalctl --boot --unit=piccolo.service --unit=piccolo.socket | grep -c -e Starting -e Listening || true", "0")
	m.counts("first")

	l := m.load("restart")
	for _, unit := range []string{"piccolo-ingress@3333", "piccolo-writer", "piccolo-ingress@3333"} {
		m.run("systemctl restart " + unit + ".service")
		l.reach(20)
	}
	l.end()
	l.smooth(3)
	m.exactly(l)

	// What is enabled comes back after a power cut, and has lost nothing. The
	// settings and links that were made above are not Piccolo's to keep.
	m.run("sync")
	l = m.load("power")
	l.reach(50)
	m.powerCut(l)
	m.ready()
	m.exactly(l)
	m.want("systemctl is-active piccolo-ingress@3333.service piccolo-ingress@3333.socket piccolo-writer.service", "active\nactive\nactive")

	m.run("systemctl stop piccolo.target")
	m.eventuallyPrints("systemctl is-active piccolo-ingress@3333.service piccolo-ingress@3333.socket piccolo-writer.service || true", "inactive\ninactive\ninactive")
}
