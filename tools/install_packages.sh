#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_packages.sh SECTION... : installs what packages.txt names and the machine lacks; without
# root, prints the one line to type. In sh, because a fresh machine has nothing else.
set -eu

list=$(dirname "$0")/../packages.txt
policy=/usr/sbin/policy-rc.d

# Lines of the wanted sections, "name" or "name command".
wanted() {
    section=
    while read -r name command; do
        case $name in
        '' | '#'*) ;;
        '['*']') section=$name ;;
        *) case " $* " in *" $(echo "$section" | tr -d '[]') "*) echo "$name $command" ;; esac ;;
        esac
    done <"$list"
}

is_here() {
    { [ -n "$2" ] && command -v "$2" >/dev/null; } ||
        dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'
}

missing=$(wanted "$@" | while read -r name command; do
    is_here "$name" "$command" || printf ' %s' "$name"
done)
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "sonde builds from Debian packages; these are missing here:$missing" >&2
    exit 1
fi
install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -ne 0 ]; then
    printf 'Some packages are missing. As root, type:\n\n    %s\n\n' \
        "apt-get update && $install" >&2
    exit 1
fi
echo "installing:$missing" >&2

# Peers are started by tests, on ports of their own: Debian's defaults must not run.
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
for step in 'apt-get update -q' "$install"; do
    $step >&2 || { echo "'$step' failed; see above" >&2; exit 1; }
done
