#!/bin/bash
# box.sh OUT: makes a Vagrant box for the libvirt provider, amd64, of Debian's packages. It needs root, for a loop mount. What it
# works in is beside OUT, and goes when it ends, or when the next one begins.
set -euo pipefail
out=$1
release=bookworm

if [ "$(id -u)" != 0 ]; then
	echo "box.sh: needs root, to mount the disk that it makes: run it as root (sudo)" >&2
	exit 1
fi
# In a mount namespace of its own, so that a mount goes with this process, and the loop device with the mount.
if [ -z "${EBBTIDE_BOX_MOUNTS-}" ]; then
	EBBTIDE_BOX_MOUNTS=own exec unshare --mount "$0" "$@"
fi

work=$out.work
rm -rf "$work"
# It may end before the disk is mounted, or after.
trap 'umount --quiet "$work/mount" || true; rm -rf --one-file-system "$work"' EXIT
mkdir -p "$work/files" "$work/mount"

# key that each Vagrant knows, and that it replaces by one of its own at the first `vagrant up`. find fails where one of the
# directories is missing; that there is no key is said below.
key=$(find /usr/share/rubygems-integration /opt/vagrant -path '*/keys/vagrant.pub' 2>/dev/null | head -n 1 || true)
if [ -z "$key" ]; then
	echo "box.sh: there is no vagrant.pub on this machine: apt-get install vagrant vagrant-libvirt" >&2
	exit 1
fi
# mirror that this machine takes Debian's main component from.
# shellcheck disable=SC2016 # the names are apt's
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL) $(COMPONENT)' 'Created-By: Packages' | sed -n 's/ Debian main$//p' | head -n 1)

put() { # put MODE PATH: a file of the box, from stdin
	install -D -m "$1" /dev/stdin "$work/files/$2"
}
install -D -m 600 "$key" "$work/files/home/vagrant/.ssh/authorized_keys"
put 440 etc/sudoers.d/vagrant <<<'vagrant ALL=(ALL) NOPASSWD: ALL'
# The ram disk has what a guest of libvirt needs to find its disk, and so is small.
put 644 etc/initramfs-tools/conf.d/box <<-'T'
	MODULES=list
	COMPRESS=gzip
T
put 644 etc/initramfs-tools/modules <<-'T'
	virtio_pci
	virtio_blk
	ext4
T
put 644 etc/fstab <<<'LABEL=box / ext4 defaults,noatime 0 1'
put 644 etc/hostname <<<'box'
put 644 etc/hosts <<<'127.0.0.1 localhost'
put 644 boot/extlinux.conf <<-'T'
	DEFAULT linux
	LABEL linux
	LINUX /vmlinuz
	INITRD /initrd.img
	APPEND root=LABEL=box ro quiet net.ifnames=0 no_timer_check console=ttyS0
T
# Vagrant sets up the other interfaces; this one it comes in by.
put 644 etc/systemd/network/10-vagrant.network <<-'T'
	[Match]
	Name=eth0
	[Network]
	DHCP=ipv4
	IPv6AcceptRA=no
	LinkLocalAddressing=no
	[DHCPv4]
	ClientIdentifier=mac
T
# Each machine makes its own key at its first boot.
put 644 etc/ssh/sshd_config.d/vagrant.conf <<-'T'
	HostKey /etc/ssh/ssh_host_ecdsa_key
	UseDNS no
T
put 644 etc/systemd/system/ssh.service.d/key.conf <<-'T'
	[Service]
	ExecStartPre=
	ExecStartPre=/bin/sh -c 'test -e /etc/ssh/ssh_host_ecdsa_key || ssh-keygen -q -t ecdsa -N "" -f /etc/ssh/ssh_host_ecdsa_key'
	ExecStartPre=/usr/sbin/sshd -t
T

root=$work/root
mmdebstrap --quiet --mode=root --variant=minbase \
	--include=linux-image-cloud-amd64,systemd-sysv,dbus,openssh-server,sudo,iproute2,iputils-ping,netbase,mount,less \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--essential-hook="cp -r $work/files/etc/initramfs-tools \"\$1/etc/\"" \
	"$release" "$root" "$mirror"
rm -f "$root"/etc/ssh/ssh_host_*
cp -r --no-preserve=ownership "$work/files/." "$root/"
chroot "$root" useradd --shell /bin/bash --password '*' vagrant 2>/dev/null
chroot "$root" chown -R vagrant:vagrant /home/vagrant
chroot "$root" systemctl --quiet enable systemd-networkd ssh
chroot "$root" systemctl --quiet mask systemd-logind.service e2scrub_reap.service \
	apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
# The name of a machine is the hosts file's business; its identity that of its first boot.
: >"$root/etc/machine-id"
chroot "$root" update-initramfs -u >/dev/null
cp --dereference "$root/vmlinuz" "$root/boot/vmlinuz"
cp --dereference "$root/initrd.img" "$root/boot/initrd.img"

# One partition, from 1 MiB on. extlinux knows ext4 as it was before 64 bits and checksums.
disk=$work/box.raw
truncate --size 2G "$disk"
sfdisk --quiet "$disk" <<<'2048,,L,*'
mke2fs -q -t ext4 -O ^64bit,^metadata_csum -L box -d "$root" -E offset=1048576 "$disk" 2047M
mount -o loop,offset=1048576 "$disk" "$work/mount"
extlinux --install "$work/mount/boot" 2>/dev/null
umount "$work/mount"
dd if=/usr/lib/EXTLINUX/mbr.bin of="$disk" conv=notrunc status=none

qemu-img convert -q -c -O qcow2 "$disk" "$work/box.img"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 2}' >"$work/metadata.json"
tar -C "$work" -cf "$work/box" metadata.json box.img
mv "$work/box" "$out"
