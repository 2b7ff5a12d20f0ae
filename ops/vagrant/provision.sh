#!/usr/bin/env bash
# Makes this machine one of Piccolo's. Run as root; again, it does no harm.
#
#	provision.sh all-in-one DEB       everything, the API open to the network
#	provision.sh nats BINARY          a NATS server that fsyncs before it acknowledges
#	provision.sh ingress DEB NATS     an ingress on port 3333, NATS is its server's URL
#	provision.sh writer DEB NATS      a writer, and the stream
set -euo pipefail

role=${1:?which role?} file=$(realpath "${2:?which file?}")

# Waits until a command succeeds; what it says is shown when it never does.
wait_for() {
	local said
	for _ in $(seq 120); do
		if said=$("$@" 2>&1); then
			return
		fi
		sleep 1
	done
	echo "gave up on: $*: $said" >&2
	return 1
}

install_package() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --allow-downgrades \
		-o Dpkg::Options::=--force-confold "$file"
}

# The package starts everything in one process, unless a preset is against it.
preset=/etc/systemd/system-preset/50-piccolo.preset
not_all_in_one() {
	mkdir -p "${preset%/*}"
	printf 'disable piccolo.%s\n' socket service >"$preset"
	if systemctl cat piccolo.service >/dev/null 2>&1; then # of an earlier role
		systemctl disable --now --quiet piccolo.socket piccolo.service
	fi
}

# setting FILE KEY VALUE: one setting of a file in /etc/piccolo.
setting() {
	sed -i "/^$2:/d" "/etc/piccolo/$1"
	echo "$2: $3" >>"/etc/piccolo/$1"
}

case "$role" in
all-in-one)
	# The package listens on loopback; this machine is there to be loaded.
	mkdir -p /etc/systemd/system/piccolo.socket.d
	printf '[Socket]\nListenStream=\nListenStream=3333\n' >/etc/systemd/system/piccolo.socket.d/network.conf
	rm -f "$preset"
	install_package
	systemctl enable --now --quiet piccolo.target piccolo.socket piccolo.service # after another role
	wait_for curl --fail --silent http://127.0.0.1:3333/readyz
	;;
nats)
	install -m 0755 "$file" /usr/local/bin/nats-server
	id nats >/dev/null 2>&1 || useradd --system --home-dir /var/lib/nats --shell /usr/sbin/nologin nats
	cat >/etc/nats-server.conf <<-'CONF'
		listen: "0.0.0.0:4222"
		server_name: piccolo-nats
		jetstream {
		  store_dir: /var/lib/nats
		  sync_interval: always
		}
	CONF
	cat >/etc/systemd/system/nats-server.service <<-'UNIT'
		[Unit]
		Description=NATS server
		After=network.target

		[Service]
		ExecStart=/usr/local/bin/nats-server --config /etc/nats-server.conf
		User=nats
		StateDirectory=nats
		Restart=always
		LimitNOFILE=1048576

		[Install]
		WantedBy=multi-user.target
	UNIT
	systemctl daemon-reload
	systemctl enable --quiet nats-server.service
	systemctl restart nats-server.service
	;;
ingress)
	not_all_in_one
	install_package
	setting ingress.yaml nats "${3:?where is NATS?}"
	systemctl enable --now --no-block --quiet piccolo-ingress@3333.service
	wait_for curl --fail --silent http://127.0.0.1:3333/readyz
	;;
writer)
	not_all_in_one
	install_package
	setting writer.yaml nats "${3:?where is NATS?}"
	wait_for piccolo stream init --nats "$3"
	systemctl enable --now --no-block --quiet piccolo-writer.service
	wait_for curl --fail --silent http://127.0.0.1:3335/readyz
	;;
*)
	echo "no such role: $role" >&2
	exit 1
	;;
esac
systemctl --no-pager --quiet is-system-running || systemctl --no-pager --failed
