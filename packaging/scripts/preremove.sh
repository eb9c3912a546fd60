#!/bin/sh
# Debian calls it with "remove", or "upgrade" and the new version; rpm with 0, or 1 for an upgrade.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now ebbtide.socket ebbtide.service ebbtide-probenet.service
fi
# Links are what makes packets go through ebbtide: pinned by the unit's daemon, or by one that root ran by hand. There may be
# neither place.
for links in /run/bpf/ebbtide/plane/links /sys/fs/bpf/ebbtide/links; do
	if [ -n "$(ls -A "$links" 2>/dev/null)" ]; then
		running=1
	fi
done
if [ -n "$running" ]; then
	# Not below /var/lib/ebbtide: that is the daemon's, and this is run by root.
	mkdir -p /var/lib/ebbtide-removed
	cp /usr/bin/ebbtide /var/lib/ebbtide-removed/ebbtide
	cat <<-'T'
	ebbtide's daemon is stopped. Its data plane goes on forwarding, so that no session is cut.
	To stop it too, which cuts every session that goes through this host:
	  /var/lib/ebbtide-removed/ebbtide detach
	  umount /run/bpf/ebbtide
	A reboot does the same. 'apt-get purge ebbtide' does it and removes what the daemon knew.
	T
fi
