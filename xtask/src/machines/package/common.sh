# What the parts of the package's life share. $1 is the package, $2 the same in a higher
# version, $3 the library's.
set -eu

say() { echo "$(cut -d. -f1 /proc/uptime) $*"; }

wrong() {
    echo "WRONG: $*"
    journalctl --no-pager -q -b -u ubc.service | tail -n 30
    exit 1
}

# Waits for a command to succeed.
until_true() {
    tries=0
    until sh -c "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || wrong "never: $1"
        sleep 0.2
    done
}

# Everything where a package may leave something. Not dpkg's locks and copies of
# its own lists, logs and caches, what each boot writes anew, and what podman makes for
# its own containers. /run begins anew with each boot: of that only what is ours.
files() {
    find /etc /usr /var /sys/fs/bpf -xdev \
        ! -path '/var/lib/dpkg/*-old' ! -path '/var/lib/dpkg/lock*' \
        ! -path '/var/lib/dpkg/triggers/*' \
        ! -path '/var/log/*' ! -path '/var/cache/*' \
        ! -path '/var/tmp/systemd-private-*' ! -path '/var/lib/systemd/random-seed' \
        ! -path '/var/lib/containers*' ! -path '/var/lib/lxc*'
    find /run -name '*ubc*'
    find /sys/fs/cgroup -maxdepth 1 -type d ! -path '/sys/fs/cgroup/machine.slice*'
    find /sys/fs/cgroup -type d -name '*ubc*'
}

# barrier, limit and failcnt of numproc, in the file of the container with this root.
row() { awk '$1 == "numproc" { print $4, $5, $6 }' "$1/proc/user_beancounters"; }

leader() { machinectl show --property=Leader --value web; }
