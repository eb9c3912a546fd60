#!/bin/sh
# provision.sh NAME ADDRESS VIP: makes a machine of `vagrant up` the load balancer, a backend or the client. Vagrant has put the
# package, the game and the configuration into /tmp. It may be run again.
set -eu
name=$1 address=$2 vip=$3

# service LINE...: a unit of that name that has these lines and is started now and at each boot.
service() {
	{
		printf '[Unit]\nWants=network-online.target\nAfter=network-online.target\n[Service]\n'
		printf '%s\n' "$@"
		printf '[Install]\nWantedBy=multi-user.target\n'
	} >/etc/systemd/system/world.service
	systemctl daemon-reload
	systemctl --quiet enable world.service
	systemctl restart world.service
}

if [ "$name" != client ]; then
	dpkg --install /tmp/ebbtide.deb >/dev/null
fi
if [ "$name" != lb ]; then
	install -m 755 /tmp/game /usr/local/bin/game
fi
case $name in
lb)
	install -m 644 /tmp/ebbtide.yaml /etc/ebbtide/ebbtide.yaml
	usermod --append --groups ebbtide vagrant
	ebbtide check /etc/ebbtide/ebbtide.yaml
	systemctl --quiet enable ebbtide
	systemctl restart ebbtide
	;;
client)
	service Type=oneshot RemainAfterExit=yes "ExecStart=/usr/sbin/ip route replace $vip dev eth1"
	;;
*)
	service "ExecStartPre=/usr/bin/ebbtide backend setup --mode dsr --vip $vip --apply" \
		"ExecStart=/usr/local/bin/game serve -name $name -colour ${name%?} -at $vip:7777 -state $address:7778"
	;;
esac
