package machine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// number reads a key from the service.
func (m *machine) number(key string) (value int64) {
	m.t.Helper()
	m.eventually("read "+key, func() error {
		res, err := http.Get(m.api + "/v1/numbers/" + key)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", res.Status)
		}
		var number struct {
			Value int64 `json:"value"`
		}
		err = json.NewDecoder(res.Body).Decode(&number)
		value = number.Value
		return err
	})
	return value
}

// add counts one increment, and returns when it is in the database.
func (m *machine) add(key string, value int64) {
	m.t.Helper()
	res, err := http.Post(fmt.Sprintf("%s/increment?ack=applied&key=%s&value=%d", m.api, key, value), "", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		m.t.Fatalf("%s %d: %s", key, value, res.Status)
	}
}

// counts posts increments one after the other, and checks what became of them.
func (m *machine) counts(key string) {
	m.t.Helper()
	var sum int64
	for _, value := range []int64{10, -3, 1 << 40, 0, 35} {
		m.add(key, value)
		sum += value
	}
	if got := m.number(key); got != sum {
		m.t.Fatalf("%s is %d, want %d", key, got, sum)
	}
}

// exactly checks that a load lost nothing and counted nothing twice. What was
// stored may take its time to be in the database.
func (m *machine) exactly(l *load) {
	m.t.Helper()
	m.t.Log(l)
	least, most := l.acked.Load(), l.acked.Load()+l.unknown.Load()
	var got int64
	m.eventually("all that was acknowledged", func() error {
		if got = m.number(l.key); got < least {
			return fmt.Errorf("%s: counted %d, want %d to %d", l.key, got, least, most)
		}
		return nil
	})
	if got > most {
		m.t.Errorf("%s: counted %d, want %d to %d", l.key, got, least, most)
	}
}

const database = "/var/lib/piccolo/numbers.db"

// All of a package's life on one machine: installed, loaded, restarted,
// upgraded, its power cut, removed, installed again, purged.
func TestPackage(t *testing.T) {
	deb := setting(t, "PICCOLO_MACHINE_DEB")
	m := newMachine(t)
	m.copy(deb, "../vagrant/provision.sh")
	m.run("bash provision.sh all-in-one " + filepath.Base(deb))
	m.ready()
	m.counts("first")

	// The unit is what it says.
	m.want("systemctl is-active piccolo.target piccolo.socket piccolo.service", "active\nactive\nactive")
	m.want("systemctl is-enabled piccolo.target piccolo.socket piccolo.service", "enabled\nenabled\nenabled")
	m.want("systemctl show -P Type -P WatchdogUSec -P NRestarts -P User piccolo.service", "notify\n1min\n0\npiccolo")
	m.want("stat -c '%U %a' /var/lib/piccolo "+database+" /etc/piccolo/secrets", "piccolo 750\npiccolo 640\nroot 700")
	m.want("sqlite3 -readonly "+database+" \"select value from numbers where key = 'first'\"", "1099511627818")
	m.eventuallyPrints("systemctl status piccolo.service", "increments/s committed, backlog ")
	m.run("systemctl reload piccolo.service; test -s /usr/share/man/man1/piccolo.1.gz; test -s /usr/share/bash-completion/completions/piccolo")
	if version := m.run("piccolo version"); !strings.HasPrefix(version, "piccolo "+release(packageVersion(t, deb))+"+") {
		t.Errorf("piccolo version says %q of %s", version, deb)
	}

	// A secret is root's file, and the service gets it from systemd.
	m.run(`cp /etc/piccolo/piccolo.yaml before.yaml
		echo 'increment,read s3cr3t' >/etc/piccolo/secrets/tokens
		sed -i 's/^#tokens:/tokens:/' /etc/piccolo/piccolo.yaml
		systemctl restart piccolo.service`)
	m.want(`for token in wrong s3cr3t; do
			curl --silent --output /dev/null --write-out '%{http_code} ' -H "Authorization: Bearer $token" 'localhost:3333/increment?key=secret&value=1' -X POST
		done`, "401 200")
	m.run("cp before.yaml /etc/piccolo/piccolo.yaml; systemctl restart piccolo.service")

	// A restart leaves nobody without a reply, and neither does an upgrade.
	l := m.load("restart")
	for range 2 {
		m.run("systemctl restart piccolo.service")
		l.reach(20)
	}
	next := nextVersion(t, deb)
	m.copy(next)
	m.run("echo '# mine' >>/etc/piccolo/piccolo.yaml; dpkg --install --force-confold " + filepath.Base(next))
	l.reach(20)
	l.end()
	l.smooth(3)
	m.exactly(l)
	m.want("tail -n 1 /etc/piccolo/piccolo.yaml", "# mine")
	m.want("dpkg-query -W -f '${Version}' piccolo", packageVersion(t, next))
	m.want("systemctl is-active piccolo.socket piccolo.service", "active\nactive")

	// What stands still is started again by the watchdog: told to end, it wakes
	// up and drains. A minute is long to wait for that.
	m.run(`mkdir -p /run/systemd/system/piccolo.service.d
		printf '[Service]\nWatchdogSec=20s\n' >/run/systemd/system/piccolo.service.d/sooner.conf
		systemctl daemon-reload; systemctl restart piccolo.service`)
	l = m.load("stuck")
	l.reach(20)
	m.run("systemctl kill --kill-whom=main --signal=STOP piccolo.service")
	m.eventuallyPrints("systemctl show -P NRestarts piccolo.service", "1")
	l.reach(20)
	l.end()
	m.exactly(l)
	m.run("journalctl --boot --unit=piccolo.service | grep 'Watchdog timeout'")
	m.run("rm /run/systemd/system/piccolo.service.d/sooner.conf; systemctl daemon-reload")

	// A power cut loses nothing that was acknowledged. The settings that were
	// edited above are not Piccolo's to keep.
	m.run("sync")
	l = m.load("power")
	l.reach(50)
	m.powerCut(l)
	m.ready()
	m.exactly(l)
	if got, want := m.number("first"), int64(1099511627818); got != want {
		t.Errorf("after the power cut: %d, want %d", got, want)
	}
	m.counts("again")

	// What is removed leaves data and settings, and goes on where it was.
	m.run("dpkg --remove piccolo")
	m.want("ls /usr/bin/piccolo /usr/lib/systemd/system/piccolo* 2>/dev/null || true", "")
	m.want("tail -n 1 /etc/piccolo/piccolo.yaml", "# mine")
	m.run("test -s " + database)
	m.run("dpkg --install --force-confold " + filepath.Base(next))
	m.ready()
	m.counts("third")
	if got, want := m.number("first"), int64(1099511627818); got != want {
		t.Errorf("after it was installed again: %d, want %d", got, want)
	}

	// What an operator disabled stays so.
	m.run("systemctl disable --now piccolo.socket piccolo.service; dpkg --install --force-confold " + filepath.Base(next))
	m.want("systemctl is-enabled piccolo.service || true", "disabled")
	m.want("systemctl is-active piccolo.service || true", "inactive")

	// Only a purge deletes, and not the backups; a disk of the data's own is
	// emptied.
	m.run("mkdir -p /var/lib/piccolo/writer; mount -t tmpfs none /var/lib/piccolo/writer; touch /var/lib/piccolo/writer/numbers.db")
	m.run("systemctl --quiet enable piccolo-writer.service piccolo-ingress@3343.service")
	m.run("touch /var/backups/piccolo/numbers.db; dpkg --purge piccolo")
	m.want("find /var/lib/piccolo /etc/piccolo 2>/dev/null || true", "/var/lib/piccolo\n/var/lib/piccolo/writer")
	m.want("find /etc/systemd/system -name 'piccolo*'", "")
	m.run("umount /var/lib/piccolo/writer")
	m.run("test -e /var/backups/piccolo/numbers.db")
	m.want("systemctl list-units --failed --no-legend 'piccolo*'", "")

	// Where the data was moved to another disk, and linked, it goes too.
	m.run("rm -r /var/lib/piccolo; dpkg --install " + filepath.Base(next))
	m.want("curl --silent --retry 20 --retry-connrefused --data 'key=foo&value=10' 'http://127.0.0.1:3333/increment?ack=applied' | grep -c '\"value\":10'", "1")
	m.run("systemctl stop piccolo.target 'piccolo*.socket' 'piccolo*.service'; mv /var/lib/piccolo /srv/piccolo; ln -s /srv/piccolo /var/lib/piccolo")
	m.run("test -s " + database + "; dpkg --purge piccolo")
	m.want("ls -d /srv/piccolo /var/lib/piccolo 2>/dev/null || true", "")

	// The same machine without the package, as another Linux has it.
	m.copy("../install.sh", "../systemd", "../config")
	m.run("dpkg-deb --extract " + filepath.Base(next) + " extracted")
	for range 2 { // again, which is an upgrade
		m.run("sh install.sh extracted/usr/bin/piccolo")
	}
	m.want("curl --silent --retry 20 --retry-connrefused --data 'key=foo&value=10' 'http://127.0.0.1:3333/increment?ack=applied' | grep -c '\"value\":10'", "1")
	m.want("systemctl is-active piccolo.socket piccolo.service", "active\nactive")
	// What an operator disabled stays so.
	m.run("systemctl --quiet disable --now piccolo.socket piccolo.service; sh install.sh extracted/usr/bin/piccolo")
	m.want("systemctl is-enabled piccolo.service || true", "disabled")
	m.want("systemctl is-active piccolo.service || true", "inactive")
	m.run("systemctl --quiet enable piccolo-writer.service piccolo-ingress@3343.service")
	m.run("sh install.sh --remove; test -s " + database)
	m.want("systemctl is-active piccolo.socket piccolo.service || true", "inactive\ninactive")
	m.want("find /etc/systemd/system -name 'piccolo*'", "")
}

// packageVersion is what a package says of itself.
func packageVersion(t *testing.T, deb string) string {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "--field", deb, "Version").CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// release is the version that the binary of a package of some version has.
func release(version string) string {
	version, _, _ = strings.Cut(version, "+")
	return strings.ReplaceAll(version, "~", "-")
}

func TestRelease(t *testing.T) {
	for version, want := range map[string]string{
		"0.1.0~dev+20261129120000.1edf519c0ffe": "0.1.0-dev",
		"1.2.3~rc1":                             "1.2.3-rc1",
		"1.2.3":                                 "1.2.3",
	} {
		if got := release(version); got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
}

// nextVersion makes the same package anew, under a later version.
func nextVersion(t *testing.T, deb string) string {
	t.Helper()
	dir := t.TempDir()
	next := filepath.Join(dir, "next.deb")
	script := `dpkg-deb --raw-extract "$1" "$2/root"
		sed -i 's/^Version: .*/&.1/' "$2/root/DEBIAN/control"
		dpkg-deb -Zgzip -z1 --root-owner-group --build "$2/root" "$3"`
	if out, err := exec.Command("sh", "-ec", script, "sh", deb, dir, next).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return next
}
