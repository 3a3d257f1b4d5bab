# A container with limits, in which a program uses up one resource after the
# other. Beside this script lie `ubc` and `refused`.
set -eu
here=$(dirname "$0")
rootfs=/run/ubc/containers/101/rootfs

"$here/ubc" run --id 101 \
    --numproc 24 --numfile 64 --numflock 16 --numpty 4 --numtcpsock 8 --numothersock 8 \
    --privvmpages 100000 --shmpages 4096 --lockedpages 64 --numsiginfo 32 --numiptent 32 \
    --tcpsndbuf 65536:131072 --tcprcvbuf 65536:131072 --othersockbuf 32768:65536 \
    --dgramrcvbuf 32768 \
    -- sh -c 'until [ -e /ready ]; do usleep 100000; done; refused; cat /proc/user_beancounters' &

until [ -x $rootfs/bin/sh ]; do sleep 0.1; done
for file in $(ldd "$here/refused" | grep -o '/[^ ]*'); do
    mkdir -p "$rootfs$(dirname "$file")"
    cp "$file" "$rootfs$file"
done
cp "$here/refused" $rootfs/bin/refused
touch $rootfs/ready
wait
