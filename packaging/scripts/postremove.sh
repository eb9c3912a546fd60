#!/bin/sh
# Debian calls it with "remove", "purge" or "upgrade"; rpm with 0 or 1. A purge leaves nothing, so it cuts what still
# goes through this host; rpm knows no purge.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
[ "$1" = purge ] || exit 0

if [ -x /var/lib/ebbtide-removed/ebbtide ]; then
	/var/lib/ebbtide-removed/ebbtide detach
fi
if mountpoint -q /run/bpf/ebbtide; then
	umount /run/bpf/ebbtide
fi
# The sockets, the mount's place, the daemon's state, the binary that the removal kept, the configuration.
rm -rf /run/ebbtide /run/bpf/ebbtide /var/lib/ebbtide /var/lib/ebbtide-removed /etc/ebbtide
# It may hold what others have mounted or pinned there, and then it is theirs: it goes when it is empty, and is not there when
# nothing ever ran.
rmdir /run/bpf 2>/dev/null || true
# What `systemctl enable` had made: dpkg knows nothing of it.
for wanted in multi-user.target.wants/ebbtide.service multi-user.target.wants/ebbtide-probenet.service sockets.target.wants/ebbtide.socket; do
	rm -f "/etc/systemd/system/$wanted"
done
if getent passwd ebbtide >/dev/null; then
	userdel ebbtide
fi
if getent group ebbtide >/dev/null; then
	groupdel ebbtide
fi
