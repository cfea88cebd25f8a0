#!/bin/sh
# rootfs.sh PROGRAM FOLDER: the tree of an image that holds the program, the libraries it loads, certificates to trust, one account,
# and nothing else.
set -eu
program=$1 root=$2
mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/etc/tendon" "$root/var/lib/tendon" "$root/tmp"
chmod 1777 "$root/tmp"
chmod 700 "$root/var/lib/tendon"
cp "$program" "$root/usr/bin/tendon"
strip "$root/usr/bin/tendon"
ldd "$program" | sed -n 's|.*[ \t]\(/[^ ]*\) (0x.*|\1|p' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'tendon:x:65532:65532:Tendon:/var/lib/tendon:/usr/bin/tendon' >"$root/etc/passwd"
echo 'tendon:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
