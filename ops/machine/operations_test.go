package machine

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documented are the code blocks of one language in a section of
// docs/operations.md.
func documented(t *testing.T, heading, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "# "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n##")
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, block[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("docs/operations.md has no %s in its section %s", language, heading)
	}
	return blocks
}

// follow does what a block says, with other names where it has to: pairs of old
// and new. The package is built already, and nobody is there to answer apt.
func (m *machine) follow(block string, names ...string) {
	m.t.Helper()
	const means = `
		task() { :; }
		apt() { apt-get --yes "$@"; }
		sudo() { if [ "$1" = -u ]; then runuser -u "$2" -- "${@:3}"; else "$@"; fi; }
	`
	m.run(means + strings.NewReplacer(names...).Replace(block))
}

// A new operator does what docs/operations.md says, from installing to removing.
func TestOperations(t *testing.T) {
	deb := setting(t, "PICCOLO_MACHINE_DEB")
	next := nextVersion(t, deb)
	m := newMachine(t)
	m.copy(deb, next)
	m.run("mkdir dist; mv piccolo_* dist")

	m.follow(documented(t, "Debian and Ubuntu", "sh")[0], "_amd64.deb", "_*.deb")
	m.eventuallyPrints("sqlite3 "+database+" 'select * from numbers'", "foo|10")
	m.run("ss --listening --numeric --tcp | grep -q 127.0.0.1:3333")
	m.run("mkdir -p /etc/systemd/system/piccolo.socket.d; cat >/etc/systemd/system/piccolo.socket.d/override.conf <<'END'\n" +
		documented(t, "Debian and Ubuntu", "ini")[0] + "END\nsystemctl daemon-reload; systemctl restart piccolo.socket")
	m.ready()
	m.counts("first")

	configure := documented(t, "Configure", "sh")
	m.follow(configure[0])
	m.follow(configure[1])
	m.want(`for token in wrong s3cr3t; do
			curl --silent --output /dev/null --write-out '%{http_code} ' -H "Authorization: Bearer $token" 'localhost:3333/increment?key=secret&value=1' -X POST
		done`, "401 200")
	m.run("sed -i '/^tokens:/d' /etc/piccolo/piccolo.yaml")

	// A mistake is told, and a client that waits does not have systemd start the
	// service in a loop.
	m.run("echo 'flush-intervall: 5ms' >>/etc/piccolo/piccolo.yaml; ! systemctl restart piccolo.service")
	m.eventuallyPrints("systemctl status piccolo.service || true", `unknown key "flush-intervall"`)
	m.run(`since=$(date +%s)
		! curl --silent --max-time 5 localhost:3333/livez
		starts=$(journalctl --since=@$since --unit=piccolo.service | grep -c Starting)
		until=$(date +%s)
		test $starts -ge 1 && test $starts -le $((until - since + 2))`)
	m.run("sed -i '/^flush-intervall:/d' /etc/piccolo/piccolo.yaml")
	m.ready() // by itself: somebody asks

	// What came after the backup comes from the stream.
	m.run("echo 'retain: 48h' >>/etc/piccolo/piccolo.yaml; systemctl restart piccolo.service")
	m.add("restored", 1)
	m.follow(documented(t, "Back up", "sh")[0], "$(date +%FT%H%M%S)", "2026-01-31")
	m.want("stat -c %a /var/backups/piccolo/numbers-2026-01-31.db", "640")
	m.add("restored", 2)
	m.follow(documented(t, "Restore", "sh")[0])
	m.ready()
	if got := m.number("restored"); got != 3 {
		t.Errorf("after the restore: %d, want 3", got)
	}

	m.run("systemctl stop piccolo.socket")
	m.want("systemctl is-active piccolo.socket piccolo.service || true", "inactive\ninactive")
	m.run("systemctl start piccolo.service")

	m.follow(documented(t, "Upgrade", "sh")[0], "piccolo_NEW_amd64.deb", filepath.Base(next))
	m.ready()
	m.want("dpkg-query -W -f '${Version}' piccolo", packageVersion(t, next))
	m.counts("again")

	m.follow(documented(t, "Remove", "sh")[0])
	m.want("ls -d /usr/bin/piccolo /var/lib/piccolo /etc/piccolo 2>/dev/null || true", "")
	m.run("test -s /var/backups/piccolo/numbers-2026-01-31.db")
}
