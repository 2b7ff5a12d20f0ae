#!/bin/sh
# Installs Piccolo on a Linux that is no Debian: a static binary, a user, the
# settings, and the units where there is systemd. Run as root; again, to put
# another version in its place.
#
#	CGO_ENABLED=0 go build -trimpath -o bin/piccolo ./cmd/piccolo
#	sudo ops/install.sh bin/piccolo
#	sudo ops/install.sh --remove          leaves data, settings, and what systemctl has edited
#
# PREFIX=/opt/piccolo puts the binary elsewhere than below /usr/local.
set -eu

prefix=${PREFIX:-/usr/local}
here=$(cd "$(dirname "$0")" && pwd)
units=/etc/systemd/system

has_systemd() { [ -d /run/systemd/system ]; }

die() {
	echo "install.sh: $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || die "it must be run by root"

if [ "${1:-}" = --remove ]; then
	if has_systemd && [ -e "$units/piccolo.target" ]; then
		systemctl stop piccolo.target 'piccolo*.socket' 'piccolo*.service'
		rm -f "$units"/*.wants/piccolo.* "$units"/*.wants/piccolo-writer.* "$units"/*.wants/piccolo-ingress@*
		rm -rf "$units/piccolo.target.wants"
		(cd "$here/systemd" && for unit in *.service *.socket *.target; do rm -f "$units/$unit"; done)
		systemctl daemon-reload
	fi
	rm -f "$prefix/bin/piccolo"
	echo "Removed. /var/lib/piccolo, /var/backups/piccolo, /etc/piccolo, drop-ins in $units/piccolo*.d and the user piccolo are left as they are."
	exit
fi

binary=${1:-}
[ -n "$binary" ] || die "which binary? CGO_ENABLED=0 go build -trimpath -o bin/piccolo ./cmd/piccolo, and then: $0 bin/piccolo"
[ -f "$binary" ] || die "there is no file $binary"
case "$binary" in
*/*) ;;
*) binary=./$binary ;; # and not one that is in the PATH
esac
"$binary" version || die "$binary does not run here"

if has_systemd; then
	systemd=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
	[ "${systemd:-0}" -ge 250 ] || die "the units need systemd 250, for their credentials, and this is ${systemd:-unknown}: run $binary all-in-one from a unit of your own"
fi
if ! id piccolo >/dev/null 2>&1; then
	if command -v useradd >/dev/null; then
		useradd --system --user-group --home-dir /var/lib/piccolo --shell /sbin/nologin piccolo
	else # BusyBox
		addgroup -S piccolo
		adduser -S -D -H -h /var/lib/piccolo -s /sbin/nologin -G piccolo piccolo
	fi
fi
mkdir -p "$prefix/bin" /etc/piccolo
install -d -m 0750 -o piccolo -g piccolo /var/lib/piccolo /var/backups/piccolo
install -d -m 0700 /etc/piccolo/secrets
# Beside the old one and then in its place: it may be running.
install -m 0755 "$binary" "$prefix/bin/piccolo.new"
mv "$prefix/bin/piccolo.new" "$prefix/bin/piccolo"
for file in "$here"/config/*.yaml; do
	[ -e "/etc/piccolo/$(basename "$file")" ] || install -m 0644 "$file" /etc/piccolo/
done

if ! has_systemd; then
	echo "Installed. There is no systemd here: have your init system run, as the user piccolo,"
	echo "  $prefix/bin/piccolo all-in-one --config /etc/piccolo/piccolo.yaml --data /var/lib/piccolo"
	echo "and give it 30 s to stop after SIGTERM."
	exit
fi
# Whoever disabled it finds it disabled after an upgrade.
first=no
[ -e "$units/piccolo.target" ] || first=yes
(cd "$here/systemd" && for unit in *.service *.socket *.target; do
	sed "s|^ExecStart=/usr/bin/piccolo|ExecStart=$prefix/bin/piccolo|" "$unit" >"$units/$unit"
	chmod 0644 "$units/$unit"
done)
systemctl daemon-reload
if [ $first = yes ]; then
	systemctl --quiet enable --now piccolo.target piccolo.socket piccolo.service
else
	systemctl try-restart 'piccolo*.service'
fi
systemctl --no-pager --lines=0 status 'piccolo*.service' || true # one that is stopped, which may be meant
