#!/bin/sh
# Installs libubc.so, libubc.a, ubc.h and ubc.pc, as packages do:
#
#     cargo build --release -p ubc-capi
#     DESTDIR=... PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu ubc-capi/install.sh target/release
#
# DESTDIR: nothing; PREFIX: /usr/local; LIBDIR: PREFIX/lib, unless given.
set -eu

here=$(dirname "$0")
built=${1:?usage: install.sh DIRECTORY-OF-LIBRARIES}
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
root=${DESTDIR:-}
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
abi=libubc.so.0

mkdir -p "$root$libdir/pkgconfig" "$root$prefix/include"
install -m 755 "$built/libubc_capi.so" "$root$libdir/$abi.$version"
ln -sf "$abi.$version" "$root$libdir/$abi"
ln -sf "$abi" "$root$libdir/libubc.so"
install -m 644 "$built/libubc_capi.a" "$root$libdir/libubc.a"
install -m 644 "$here/include/ubc.h" "$root$prefix/include/ubc.h"
sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@VERSION@|$version|" \
    "$here/ubc.pc.in" >"$root$libdir/pkgconfig/ubc.pc"
