#!/bin/sh
# Debian calls it with "configure" and the version before, or none; rpm with 1 at first and 2 for an upgrade.
set -e
upgrade=
case "$1" in
configure) [ -z "$2" ] || upgrade=1 ;;
2) upgrade=1 ;;
1) ;;
*) exit 0 ;;
esac

systemd-sysusers ebbtide.conf
systemd-tmpfiles --create ebbtide.conf
# The binary that a removal kept, for `detach`: there is one again.
rm -rf /var/lib/ebbtide-removed
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# The data plane goes on meanwhile; the new daemon upgrades it under traffic.
	[ -z "$upgrade" ] || systemctl try-restart ebbtide.service ebbtide-probenet.service
fi
if [ -z "$upgrade" ]; then
	cat <<-'T'
	ebbtide is installed, and does nothing yet. Next:
	  cp /etc/ebbtide/ebbtide.example.yaml /etc/ebbtide/ebbtide.yaml    # and make it yours
	  ebbtide check /etc/ebbtide/ebbtide.yaml
	  ebbtide doctor
	  systemctl enable --now ebbtide
	T
fi
