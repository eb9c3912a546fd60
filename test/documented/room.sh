# A host of its own for what pages tell to do: what is written below /etc, /usr, /var and /run is seen in here only, and goes
# with the last process in here. $1 is a directory for that, $2 the directory of the binaries, $3 that of stand-ins for programs
# of others.
set -e
mount --make-rprivate /
mount -t tmpfs room "$1"
for dir in etc usr var run; do
	mkdir "$1/$dir" "$1/$dir.work"
	mount -t overlay "room-$dir" -o "lowerdir=/$dir,upperdir=$1/$dir,workdir=$1/$dir.work" "/$dir"
done
mount -t bpf room /sys/fs/bpf
install -m 0755 "$2/ebbtide" "$3"/* /usr/local/bin/
mkdir -p /etc/ebbtide /etc/bash_completion.d /usr/share/ebbtide /var/tmp/here /root
echo ready
exec cat >/dev/null
