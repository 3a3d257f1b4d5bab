# The library alone, the package, a new user's first container, and an upgrade under one
# that reads.

# The images leave documentation out; the package is to be whole.
rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap
mkdir -p /t
files | sort -u >/t/before

say "installing the library"
dpkg -i "$3" >/t/log 2>&1 || wrong "$(cat /t/log)"
dpkg --verify libubc0 || wrong "files differ from the package's"
# Its programs stay in the kernel, and the daemon goes on with them.
/t/container >/t/log 2>&1 || wrong "the program: $(cat /t/log)"
grep -q '^engine: numfile maxheld 16 limit 16 failcnt 1 ' /t/log || wrong "$(cat /t/log)"
grep -q '^kernel: numfile maxheld 16 limit 16 failcnt 1 (bpf numfile)$' /t/log || wrong "$(cat /t/log)"
dpkg --purge libubc0 >/t/log 2>&1 || wrong "$(cat /t/log)"
! /t/container engine 2>/dev/null || wrong "the library is still there"
say "a C program was refused by kernel and engine"

dpkg -i "$1" >/t/log 2>&1 || wrong "$(cat /t/log)"
say "installed"
systemctl --quiet is-active ubc.service || wrong "the service does not run"
systemctl --quiet is-enabled ubc.service || wrong "the service is not enabled"
dpkg --verify ubc || wrong "files differ from the package's"
[ -z "$(find /usr/share/containers/oci/hooks.d -name 'ubc*' 2>/dev/null)" ] || wrong "an active hook"

# As docs/security.md says; tenths.
for unit in ubc:83 ubc-record:7 ubc-export:16; do
    systemd-analyze security --no-pager "${unit%:*}.service" | tail -n 1
    systemd-analyze security --no-pager --threshold="${unit#*:}" "${unit%:*}.service" >/t/log ||
        wrong "more exposed than documented: $(cat /t/log)"
done

for unit in ubc-record ubc-export; do
    ! systemctl --quiet is-enabled $unit.service || wrong "$unit is enabled"
    ! systemctl --quiet is-active $unit.service || wrong "$unit runs"
done
systemctl --quiet enable --now ubc-record.service || wrong "ubc-record does not start"
systemctl start ubc-export.service || wrong "ubc-export does not start"

# The README as it was installed, command by command; what makes and installs the
# package was done before.
awk 'show && /^```$/ { exit } show { print } /^## First container/ { here = 1 }
    here && /^```sh$/ { show = 1 }' /usr/share/doc/ubc/README.md >/t/commands
[ "$(wc -l </t/commands)" -ge 5 ] && [ "$(wc -l </t/commands)" -lt 10 ] ||
    wrong "the README's commands are $(cat /t/commands)"
while IFS= read -r line <&3; do
    expected=0
    case $line in
    cargo\ * | apt\ *) continue ;;
    # One that is refused says so.
    *--numproc\ 20\ *) expected=2 ;;
    # Whoever types takes longer than the alert does.
    journalctl\ *) until_true 'journalctl -q -t ubc-alert | grep -q refused' ;;
    esac
    code=0
    sh -c "$line" >/t/log 2>&1 </dev/null || code=$?
    [ $code = $expected ] || wrong "$line: $code: $(cat /t/log)"
    cat /t/log >>/t/said
done 3</t/commands
grep -q "can't fork" /t/said || wrong "nothing was refused: $(cat /t/said)"
grep -q 'container 101: numproc refused, limit 20, ' /t/said || wrong "no alert: $(cat /t/said)"
grep -qx 'NUMPROC="40"' /etc/vz/conf/101.conf || wrong "$(cat /etc/vz/conf/101.conf)"
systemctl stop ubc-alert.service || wrong "the alert does not stop"
rm -r /etc/vz
say "the README's $(wc -l </t/commands) commands do what they say"

# As docs/operating.md says.
mkdir -p /usr/share/containers/oci/hooks.d
ln -s /usr/share/ubc/podman/ubc.json /usr/share/containers/oci/hooks.d/
ln -s /usr/share/ubc/lxc/ubc.conf /usr/share/lxc/config/common.conf.d/

# It goes to its limit under a name that lies, and then reads its file without end.
cat >/t/inside.py <<'END'
import os, signal, time

with open("/proc/self/comm", "w") as file:
    file.write("a\nUBC_CTID=7")

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
    --annotation org.openvz.ubc.numproc=20:20 --volume /t/inside.py:/inside.py:ro \
    --rootfs /:O python3 /inside.py >/t/log 2>&1 || wrong "podman: $(cat /t/log)"
init=$(podman inspect --format '{{.State.Pid}}' life)
root=/proc/$init/root
say "a container runs"

until_true "[ -s $root/reads ]"
read -r many why <$root/refused
[ "$many" = 19 ] || wrong "refused after $many processes: $why"
before=$(row $root)
[ "$before" = "20 20 1" ] || wrong "barrier, limit and failcnt are $before"
say "refused: $why; barrier, limit and failcnt are $before"

# The journal has it in parts, of which a name is no other.
cat >/t/journal.py <<'END'
import json, subprocess, sys

def journal(*args):
    command = ["journalctl", "--no-pager", "-q", "-b", "_SYSTEMD_UNIT=ubc.service", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

said = [json.loads(line) for line in journal("-o", "json", "UBC_CTID=101", "UBC_LIMIT=20").splitlines()]
last = said[-1]
expected = {
    "MESSAGE": f"container 101: numproc refused, limit 20, held 20, asked 1, pid {last['UBC_PID']} (a\\nUBC_CTID=7)",
    "PRIORITY": "5", "SYSLOG_IDENTIFIER": "ubc", "UBC_RESOURCE": "numproc", "UBC_ASKED": "1",
    "UBC_HELD": "20", "UBC_BARRIER": "20", "UBC_FAILCNT": "1", "UBC_DROPPED": "0",
    "UBC_COMM": "a\\nUBC_CTID=7",
}
wrong = {name: last.get(name) for name, value in expected.items() if last.get(name) != value}
if wrong or journal("UBC_CTID=7"):
    sys.exit(f"in the journal {wrong or 'a field is forged'}: {last}")
explained = journal("-x", "-n", "1", f"MESSAGE_ID={last['MESSAGE_ID']}")
if "Subject: Container 101 was refused numproc" not in explained:
    sys.exit(f"the catalog does not explain it: {explained}")
END
until_true 'journalctl --no-pager -q -b _SYSTEMD_UNIT=ubc.service UBC_CTID=101 UBC_LIMIT=20 | grep -q .'
python3 /t/journal.py || wrong "the journal"

# What the service may do is enough for all that this kernel can refuse.
cat >/t/rows.py <<'END'
import json, subprocess, sys

def rows(*command):
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    status = said["status"] if "status" in said else said["rows"]
    return {row for row, it in status.items() if it["enforced"]}

service, free = rows("ubc", "show", "101", "--json"), rows("ubc", "doctor", "--json")
if free - service or len(service) < 15:
    sys.exit(f"enforced by the service {sorted(service)}, without its restrictions {sorted(free)}")
END
python3 /t/rows.py || wrong "the service lacks a right"
say "the service refuses all that it would without its restrictions"

# The metrics, as their own unit serves them.
cat >/t/metrics.py <<'END'
import urllib.request

print(urllib.request.urlopen("http://127.0.0.1:9765/metrics").read().decode())
END
python3 /t/metrics.py >/t/metrics || wrong "ubc-export does not answer"
grep -q '^ubc_failcnt_total{container="101",resource="numproc",unit="count"} 1$' /t/metrics ||
    wrong "the metrics are $(grep failcnt /t/metrics)"

reads=$(cat $root/reads)
was=$(systemctl show --property=MainPID --value ubc.service ubc-export.service ubc-record.service)
dpkg -i "$2" >/t/log 2>&1 || wrong "$(cat /t/log)"
now=$(systemctl show --property=MainPID --value ubc.service ubc-export.service ubc-record.service)
for pid in $now; do
    [ "$(readlink "/proc/$pid/exe")" = /usr/bin/ubc ] || wrong "not the new program: $was, $now"
    case " $(echo $was) " in *" $pid "*) wrong "an old process goes on: $was, $now" ;; esac
done
[ "$(echo "$now" | grep -c .)" = 3 ] || wrong "not all services run: $now"
[ "$(row $root)" = "$before" ] || wrong "barrier, limit and failcnt are $(row $root) after the upgrade"
until_true "[ \$(cat $root/reads) -gt $((reads + 5)) ]"
[ ! -e $root/failed ] || wrong "a reader failed: $(cat $root/failed)"
say "upgraded to $(dpkg-query --show ubc | cut -f2), $(cat $root/reads) reads, none failed"
systemctl stop ubc-export.service || wrong "ubc-export does not stop"
podman rm --force --time 0 life >/t/log 2>&1 || wrong "podman: $(cat /t/log)"

# Two that start with the machine: one of systemd-nspawn, whose limits are set while it
# runs, and one of a unit, whose limits are there before it.
mkdir -p /etc/systemd/system/systemd-nspawn@.service.d /etc/systemd/nspawn
ln -s /usr/share/ubc/systemd-nspawn/ubc.conf /etc/systemd/system/systemd-nspawn@.service.d/
for dir in bin dev etc proc run sys tmp usr/lib; do mkdir -p /var/lib/machines/web/$dir; done
cp /bin/busybox /var/lib/machines/web/bin/
for name in seq sh sleep; do ln -s busybox /var/lib/machines/web/bin/$name; done
echo ID=test >/var/lib/machines/web/usr/lib/os-release
cat >/var/lib/machines/web/init <<'END'
#!/bin/sh
while :; do
    if [ -e /storm ]; then
        rm /storm
        (for i in $(seq 40); do sleep 30 & done)
        : >/refused
    fi
    sleep 1
done
END
chmod +x /var/lib/machines/web/init
ln -s busybox /var/lib/machines/web/bin/rm
cat >/etc/systemd/nspawn/web.nspawn <<'END'
[Exec]
Boot=no
Parameters=/init
PrivateUsers=no
LinkJournal=no
[Network]
VirtualEthernet=no
Private=yes
END
cat >/etc/systemd/system/batch.service <<'END'
[Unit]
Wants=ubc.service
After=ubc.service
[Service]
ExecStart=/usr/bin/ubc run --id 102 -- sh -c 'trap "exit 0" TERM; while :; do sleep 1 & wait $$!; done'
[Install]
WantedBy=multi-user.target
END
ubc set 102 --physpages 0:16384 --numfile 512 --save >/t/log 2>&1 || wrong "$(cat /t/log)"
systemctl daemon-reload
systemctl --quiet enable --now systemd-nspawn@web.service batch.service >/t/log 2>&1 ||
    wrong "$(cat /t/log; journalctl -q --no-pager -n 20 -u systemd-nspawn@web -u batch)"
ubc list -H -o ctid | tr -d ' ' | grep -vx 102 >/t/id
ubc set "$(cat /t/id)" --numproc 20 --save >/t/log 2>&1 || wrong "$(cat /t/log)"
: >/var/lib/machines/web/storm
until_true '[ -e /var/lib/machines/web/refused ]'
[ "$(row "/proc/$(leader)/root")" = "20 20 1" ] || wrong "numproc is $(row "/proc/$(leader)/root")"
rm /var/lib/machines/web/refused
sync
say "container $(cat /t/id) of systemd-nspawn was refused; the machine reboots"
