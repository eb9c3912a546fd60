#!/bin/bash
# inside.sh WORK COMMAND...: runs a command beside a libvirtd of its own. It is the first process of its namespaces (network,
# mounts, processes): what libvirtd makes ends with it, and the machine's own libvirt, if any, is not seen.
set -euo pipefail
work=$1
shift

mkdir -p "$work"/{etc,lib/images,cache,log}
cp -r /etc/libvirt/. "$work/etc/"
rm -rf "$work/etc/qemu/networks" # Debian's default network has the bridge that Vagrant's wants
cat >"$work/etc/libvirtd.conf" <<-'T'
	auth_unix_ro = "none"
	auth_unix_rw = "none"
	unix_sock_group = "root"
T
cat >"$work/etc/qemu.conf" <<-'T'
	user = "root"
	group = "root"
	dynamic_ownership = 0
	security_driver = "none"
	stdio_handler = "file"
	cgroup_controllers = []
	namespaces = []
T
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys # that of this network namespace
mount --bind "$work/etc" /etc/libvirt
mount --bind "$work/lib" /var/lib/libvirt
mount --bind "$work/cache" /var/cache/libvirt
mount --bind "$work/log" /var/log/libvirt
ip link set lo up
libvirtd --daemon >"$work/libvirtd.log" 2>&1 || {
	cat "$work/libvirtd.log" >&2
	exit 1
}
"$@" # not by exec: the first process of a namespace has to put away what others leave
