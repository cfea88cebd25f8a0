#!/usr/bin/env bash
# What is handed to others, used as they would use it: the Debian package is installed into an empty tree, started by its unit's own
# command line, and removed; the image is built by its Dockerfile and runs read-only without root; the chart is rendered; the alert
# rules and the board are evaluated by a real Prometheus against a real process.
source "$(dirname "$0")/lib.sh"

cd "$repo"
packages=$repo/packages
# Only root can install, change account and root folder. Without it the whole is done in a namespace of its own.
if ((EUID != 0)); then
    unshare --map-root-user --map-auto --mount true 2>"$scratch/unshare.log" || fail "needs root, or user namespaces with subordinate ids"
    exec unshare --map-root-user --map-auto --mount bash "$0"
fi
# Another account has to reach what is in it.
chmod 711 "$scratch"

# ── made twice, the same bytes ──
cargo xtask dist --binary "$TENDON" >"$scratch/first.sums" 2>"$scratch/dist.log" || fail "the packages could not be made"
cargo xtask dist --binary "$TENDON" >"$scratch/second.sums" 2>"$scratch/dist.log" || fail "the packages could not be made again"
cmp -s "$scratch/first.sums" "$scratch/second.sums" || fail "made twice, the packages differ"
same "packages" "$(wc -l <"$scratch/first.sums")" 3
dist=$(cargo metadata --format-version 1 --no-deps | jq -r .target_directory)/dist
(cd "$dist" && sha256sum --quiet --check SHA256SUMS) || fail "SHA256SUMS does not fit"

# ── the Debian package in an empty tree ──
tree=$scratch/tree
mkdir -p "$tree"/{etc,var/lib/dpkg/{info,updates,triggers}}
touch "$tree/var/lib/dpkg/status"
package() {
    dpkg --root="$tree" --force-script-chrootless --force-depends --log=/dev/null "$@" >>"$scratch/dpkg.log" 2>&1 ||
        fail "dpkg $* failed"
}
listed() { (cd "$tree" && find . -path ./var/lib/dpkg -prune -o -print | sort); }
empty=$(listed)
package -i "$dist"/tendon_*.deb
same "what differs from the package" "$(dpkg --root="$tree" --verify tendon)" ""
uid=$(awk -F: '$1 == "tendon" {print $3}' "$tree/etc/passwd")
same "owner and rights of the state" "$(stat -c '%u %a' "$tree/var/lib/tendon")" "$uid 700"
same "rights of the project" "$(stat -c %a "$tree/etc/tendon")" 750
gzip -dc "$tree/usr/share/man/man1/tendon-ledger-verify.1.gz" >"$scratch/page" || fail "the manual cannot be read"
grep -q "Verify every byte" "$scratch/page" || fail "the manual does not say what the command does"
bash -n "$tree/usr/share/bash-completion/completions/tendon" || fail "bash cannot read the completions"
unit=$tree/usr/lib/systemd/system/tendon.service
systemd-analyze security --offline=true --threshold=15 "$unit" >"$scratch/security" || fail "the unit leaves more open than 1.5"

# The unit's command line, in the tree, by the tree's account; as a manager would be told.
# Links of the tree lead to the host's root.
ln -sfn "$tree/var/lib/tendon" "$tree/etc/tendon/.tendon"
"$tree/usr/bin/tendon" init "$tree/etc/tendon" >"$scratch/init.log" 2>&1 || fail "no project could be made"
chown -R "root:$(stat -c %g "$tree/etc/tendon")" "$tree/etc/tendon"
chown -R "$uid:$uid" "$tree/var/lib/tendon"
read -r -a line < <(sed -n 's/^ExecStart=//p' "$unit")
same "the unit starts" "${line[0]}" /usr/bin/tendon
for place in "${!line[@]}"; do [[ ${line[place]} == /* ]] && line[place]=$tree${line[place]}; done
port=$(free_port)
mkdir "$scratch/told" && chmod 777 "$scratch/told"
cat >"$scratch/manager.py" <<'PY'
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
while True:
    print(listener.recv(4096).decode(), flush=True)
PY
start manager "$PYTHON" "$scratch/manager.py" "$scratch/told/notify"
until [[ -S $scratch/told/notify ]]; do kill -0 "${servers[-1]}" || fail "nobody listens for the unit"; sleep 0.05; done
start unit setpriv --reuid="$uid" --regid="$uid" --clear-groups \
    env -i NOTIFY_SOCKET="$scratch/told/notify" "${line[@]}" --listen "127.0.0.1:$port"
ready "http://127.0.0.1:$port/readyz"
grep -q '^READY=1$' "$scratch/manager.log" || fail "the manager was not told that it is ready"
if "$tree/usr/bin/tendon" keys list --project "$tree/etc/tendon" >"$scratch/root.log" 2>&1; then
    fail "root was let to another account's state"
fi
grep -q "run it as that account" "$scratch/root.log" || fail "the refusal does not say what to do"
kill -HUP "${servers[-1]}"
setpriv --reuid="$uid" --regid="$uid" --clear-groups "$tree/usr/bin/tendon" keys create --name first --project "$tree/etc/tendon" \
    >"$scratch/key.log" 2>&1 || fail "no key could be made"
stop
grep -q '^STOPPING=1$' "$scratch/manager.log" || fail "the manager was not told of the end"

# Removed: the program is gone and the record stays; purged: what is not empty stays, and it is said.
package -r tendon
[[ ! -e $tree/usr/bin/tendon && -d $tree/var/lib/tendon/ledger ]] || fail "removing took the record, or left the program"
package -P tendon
grep -q "var/lib/tendon is kept" "$scratch/dpkg.log" || fail "nobody was told that the record is kept"
rm -rf "$tree/etc/tendon" "$tree/var/lib/tendon"
# Nothing was made in between: installed and purged, the tree is as it was, but for the account.
package -i "$dist"/tendon_*.deb
package -P tendon
same "what is left" "$(comm -13 <(echo "$empty") <(listed) | grep -Ev '^\./(etc/(passwd|group|shadow|gshadow)-?|etc/\.pwd\.lock|usr|var/lib)$' || true)" ""

# ── the image: built by the Dockerfile, run read-only and not as root, nothing else in it ──
# The stage that compiles needs a registry; what it hands over is made from the program that is here.
"$packages/docker/rootfs.sh" "$TENDON" "$scratch/built/rootfs" >"$scratch/image.log" 2>&1 || fail "the image's tree could not be made"
oci() { buildah --root "$scratch/oci" --runroot "$scratch/oci-run" --storage-driver vfs "$@"; }
oci build --isolation chroot --build-context "build=$scratch/built" -f "$packages/docker/Dockerfile" -t tendon . \
    >"$scratch/image.log" 2>&1 || fail "the Dockerfile builds no image"
same "what the image says" "$(oci inspect --type image tendon |
    jq -c '.OCIv1.config | [.User, .Entrypoint, .Cmd, (.Env[] | select(startswith("TENDON"))), .Volumes]')" \
    '["65532:65532",["/usr/bin/tendon"],["up","--project","/etc/tendon"],"TENDON_STATE=/var/lib/tendon",{"/var/lib/tendon":{}}]'
container=$(oci from tendon)
image=$(oci mount "$container")
same "what else is in it" "$(find "$image" -type f ! -name '*.so*' | sed "s|^$image||" | sort | xargs)" \
    "/etc/group /etc/nsswitch.conf /etc/passwd /etc/ssl/certs/ca-certificates.crt /usr/bin/tendon"
same "who owns it" "$(find "$image" -mindepth 1 ! -uid 65532 | head -n 1)" ""
mkdir "$scratch/project" "$scratch/state"
"$TENDON" init "$scratch/project" >"$scratch/init.log" 2>&1 || fail "no project could be made"
chown -R 65532:65532 "$scratch/state"
port=$(free_port)
export image port scratch
# With the image's own user, program and state, as the lines above found them.
start image unshare --mount bash -euc '
    mount --bind "$image" "$image"
    mount --bind -o ro "$scratch/project" "$image/etc/tendon"
    mount --bind "$scratch/state" "$image/var/lib/tendon"
    mount -t tmpfs none "$image/tmp"
    mount -o remount,ro,bind "$image"
    exec env -i TENDON_STATE=/var/lib/tendon /usr/sbin/chroot --userspec=65532:65532 "$image" \
        /usr/bin/tendon up --project /etc/tendon --listen "127.0.0.1:$port"'
ready "http://127.0.0.1:$port/readyz"
[[ -d $scratch/state/ledger ]] || fail "the image keeps its state elsewhere"
stop
oci rm "$container" >>"$scratch/image.log"

# ── the chart ──
(cd tests/packages && TENDON=$TENDON go test -count=1 ./... >"$scratch/chart.log" 2>&1) || fail "the chart is wrong"

# ── rules and board ──
promtool check rules "$packages/prometheus/alerts.yaml" >"$scratch/rules.log" 2>&1 || fail "the rules are no rules"
promtool test rules "$packages/prometheus/alerts.test.yaml" >"$scratch/rules.log" 2>&1 || fail "the rules do not fire as they should"
port=$(free_port)
start demo "$TENDON" demo --dir "$scratch/demo" --port "$port"
ready "http://127.0.0.1:$port/readyz"
"$PYTHON" tests/packages/monitoring.py "127.0.0.1:$port" "$(free_port)" "$scratch/prometheus" >"$scratch/monitoring.log" 2>&1 ||
    fail "rules or board ask for what is not there"
tail -n 1 "$scratch/monitoring.log"
stop
