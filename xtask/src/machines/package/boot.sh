# After a reboot everything is as it was, and then the package goes.

state=$(systemctl is-system-running --wait) || true
[ "$state" = running ] || wrong "the machine is $state: $(systemctl --failed --no-legend --plain)"
say "booted"
systemctl --quiet is-active ubc.service || wrong "the service does not run"
# Nobody started another daemon before it. (That it took longer than systemd waits is
# an emulated machine's business.)
! journalctl -q --no-pager -b -u ubc.service | grep -q 'a daemon runs already' || wrong "it had to wait"
[ -z "$(journalctl -q --no-pager -b -p warning _SYSTEMD_UNIT=ubc.service)" ] || wrong "it complains"

web=$(cat /t/id)
until_true "ubc list -H -o ctid | grep -q 102"
[ "$(ubc list -H -o ctid | tr -d ' ' | sort -n | xargs)" = "102 $web" ] ||
    wrong "containers are $(ubc list -H -o ctid | xargs)"
[ "$(ls /run/ubc/kept/*.json | wc -l)" = 2 ] || wrong "kept is $(ls /run/ubc/kept)"
root=/proc/$(leader)/root
# The limits again, and no refusal yet.
[ "$(row "$root")" = "20 20 0" ] || wrong "numproc of $web is $(row "$root")"
[ "$(cat /sys/fs/cgroup/ubc/102/memory.max)" = 67108864 ] ||
    wrong "memory.max is $(cat /sys/fs/cgroup/ubc/102/memory.max)"
limit=$(ubc list -H -o ctid,numfile.l | awk '$1 == 102 { print $2 }')
[ "$limit" = 512 ] || wrong "the limit of numfile is $limit"
: >/var/lib/machines/web/storm
until_true '[ -e /var/lib/machines/web/refused ]'
[ "$(row "$root")" = "20 20 1" ] || wrong "numproc is $(row "$root") after a refusal"

systemctl --quiet is-active ubc-record.service || wrong "the record does not go on"
! systemctl --quiet is-active ubc-export.service || wrong "ubc-export was not enabled"
ubc replay --events 101 >/t/log 2>&1 || wrong "$(cat /t/log)"
grep -q 'numproc' /t/log || wrong "the record has not what was before the reboot: $(cat /t/log)"
say "limits, containers and the record are as before the reboot"

systemctl --quiet disable --now batch.service >/t/log 2>&1 || wrong "$(cat /t/log)"
init=$(leader)
dpkg --remove ubc >/t/log 2>&1 || wrong "$(cat /t/log)"
say "removed"
for unit in ubc ubc-record ubc-export; do
    ! systemctl --quiet is-active $unit.service || wrong "$unit.service goes on"
done
! pgrep -x ubc >/dev/null || wrong "a process goes on: $(pgrep -ax ubc)"
[ -d "/proc/$init" ] || wrong "the container has ended"
[ "$(stat -f -c %T "$root/proc")" = proc ] || wrong "the view is still there"
[ ! -e "$root/proc/user_beancounters" ] || wrong "the file is still there"
[ ! -e /sys/fs/bpf/ubc ] || wrong "programs are still there"
[ -e /etc/ubc/runtime.conf ] || wrong "the configuration is gone"
[ -e "/etc/vz/conf/$web.conf" ] || wrong "the container's configuration is gone"
# A link that leads nowhere would keep LXC from starting any container.
links=$(find /usr/share/containers /usr/share/lxc /etc/systemd -lname '/usr/share/ubc/*')
[ -z "$links" ] || wrong "links are still there: $links"
podman run --rm --network none --rootfs /:O true || wrong "podman does not start containers"
systemctl restart systemd-nspawn@web.service || wrong "systemd-nspawn does not start containers"

dpkg --purge ubc >/t/log 2>&1 || wrong "$(cat /t/log)"
# What was made here, and not by the package.
systemctl --quiet disable --now systemd-nspawn@web.service >/t/log 2>&1 || wrong "$(cat /t/log)"
rm -r /etc/vz /etc/systemd/nspawn /etc/systemd/system/batch.service /var/lib/machines/web
[ ! -d /etc/systemd/system/systemd-nspawn@.service.d ] || rmdir /etc/systemd/system/systemd-nspawn@.service.d
rmdir /usr/share/containers/oci/hooks.d /usr/share/containers/oci
files | sort -u >/t/after
diff /t/before /t/after >/t/log || wrong "left, or gone: $(cat /t/log)"
say "purged: nothing is left"
