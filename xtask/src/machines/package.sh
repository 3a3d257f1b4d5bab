# The Debian package's life, in a machine of its own. $1 is the package, $2 the
# same in a higher version.
set -eu

say() { echo "$(cut -d. -f1 /proc/uptime) $*"; }

wrong() {
    echo "WRONG: $*"
    journalctl --no-pager -q -u ubc.service | tail -n 30
    exit 1
}

# The images leave documentation out; the package is to be whole.
rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap

# Everything where a package may leave something. Not dpkg's locks and copies of
# its own lists, logs and caches, what systemd keeps of units and their output
# while they run, and what podman makes for its own containers.
files() {
    find /etc /usr /var /run /sys/fs/bpf -xdev \
        ! -path '/var/lib/dpkg/*-old' ! -path '/var/lib/dpkg/lock*' \
        ! -path '/var/lib/dpkg/triggers/*' \
        ! -path '/var/log/*' ! -path '/run/log/*' ! -path '/var/cache/*' \
        ! -path '/run/systemd/units/*' ! -path '/run/systemd/transient*' \
        ! -path '/run/systemd/journal/streams/*' \
        ! -path '/var/lib/containers*' ! -path '/run/containers*' \
        ! -path '/run/libpod*' ! -path '/run/crun*'
    find /sys/fs/cgroup -maxdepth 1 -type d ! -path '/sys/fs/cgroup/machine.slice*'
    find /sys/fs/cgroup -type d -name '*ubc*'
}
files | sort -u >/root/before

say "installing"
dpkg -i "$1" >/root/log 2>&1 || wrong "$(cat /root/log)"
say "installed"
systemctl --quiet is-active ubc.service || wrong "the service does not run"
systemctl --quiet is-enabled ubc.service || wrong "the service is not enabled"
dpkg --verify ubc || wrong "files differ from the package's"
[ -z "$(find /usr/share/containers/oci/hooks.d -name 'ubc*' 2>/dev/null)" ] || wrong "an active hook"
systemd-analyze security --no-pager ubc.service | tail -n 1

# As docs/operating.md says.
mkdir -p /usr/share/containers/oci/hooks.d
ln -s /usr/share/ubc/podman/ubc.json /usr/share/containers/oci/hooks.d/
ln -s /usr/share/ubc/lxc/ubc.conf /usr/share/lxc/config/common.conf.d/

# It goes to its limit, and then reads its file without end.
cat >/root/inside.py <<'END'
import os, signal, time

children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError as error:
    with open("/refused", "w") as file:
        file.write(f"{len(children)} {error.strerror}\n")
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

reads = 0
while not os.path.exists("/stop"):
    try:
        with open("/proc/user_beancounters") as file:
            text = file.read()
        if len(text.splitlines()) != 26:
            raise ValueError(text)
        reads += 1
        with open("/reads.new", "w") as file:
            file.write(str(reads))
        os.rename("/reads.new", "/reads")
    except (OSError, ValueError) as error:
        with open("/failed", "a") as file:
            file.write(f"{error}\n")
signal.pause()
END

podman run --detach --name life --network none --annotation org.openvz.ubc.ctid=101 \
    --annotation org.openvz.ubc.numproc=20:20 --volume /root/inside.py:/inside.py:ro \
    --rootfs /:O python3 /inside.py >/root/log 2>&1 || wrong "podman: $(cat /root/log)"
init=$(podman inspect --format '{{.State.Pid}}' life)
root=/proc/$init/root
say "a container runs"

# Waits for a command to succeed.
until_true() {
    tries=0
    until sh -c "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || wrong "never: $1"
        sleep 0.2
    done
}

until_true "[ -s $root/reads ]"
read -r many why <$root/refused
[ "$many" = 19 ] || wrong "refused after $many processes: $why"
row() { awk '$1 == "numproc" { print $4, $5, $6 }' $root/proc/user_beancounters; }
before=$(row)
[ "$before" = "20 20 1" ] || wrong "barrier, limit and failcnt are $before"
say "refused: $why; barrier, limit and failcnt are $before"

reads=$(cat $root/reads)
was=$(systemctl show --property=MainPID --value ubc.service)
dpkg -i "$2" >/root/log 2>&1 || wrong "$(cat /root/log)"
now=$(systemctl show --property=MainPID --value ubc.service)
[ "$was" != "$now" ] || wrong "the old daemon goes on"
[ "$(readlink "/proc/$now/exe")" = /usr/bin/ubc ] || wrong "not the new daemon"
[ "$(row)" = "$before" ] || wrong "barrier, limit and failcnt are $(row) after the upgrade"
until_true "[ \$(cat $root/reads) -gt $((reads + 5)) ]"
[ ! -e $root/failed ] || wrong "a reader failed: $(cat $root/failed)"
say "upgraded to $(dpkg-query --show ubc | cut -f2), $(cat $root/reads) reads, none failed"
touch $root/stop
sleep 1

dpkg --remove ubc >/root/log 2>&1 || wrong "$(cat /root/log)"
say "removed"
! systemctl --quiet is-active ubc.service || wrong "the service goes on"
! pgrep -x ubc >/dev/null || wrong "a process goes on: $(pgrep -ax ubc)"
[ -d "/proc/$init" ] || wrong "the container has ended"
[ "$(stat -f -c %T $root/proc)" = proc ] || wrong "the view is still there"
[ ! -e $root/proc/user_beancounters ] || wrong "the file is still there"
[ ! -e /sys/fs/bpf/ubc ] || wrong "programs are still there"
[ -e /etc/ubc/runtime.conf ] || wrong "the configuration is gone"
podman rm --force --time 0 life >/root/log 2>&1 || wrong "podman: $(cat /root/log)"
# A link that leads nowhere would keep LXC from starting any container.
links=$(find /usr/share/containers /usr/share/lxc -lname '/usr/share/ubc/*')
[ -z "$links" ] || wrong "links are still there: $links"
podman run --rm --network none --rootfs /:O true || wrong "podman does not start containers"

dpkg --purge ubc >/root/log 2>&1 || wrong "$(cat /root/log)"
rmdir /usr/share/containers/oci/hooks.d /usr/share/containers/oci
files | sort -u >/root/after
diff /root/before /root/after >/root/log || wrong "left, or gone: $(cat /root/log)"
say "purged: nothing is left"
