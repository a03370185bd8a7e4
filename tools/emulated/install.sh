#!/bin/sh
# Installs what builds and runs the emulated machine: an emulator, a maker of Debian systems, and
# the kernel's headers and source, of which gpio-sim is built. Debian.
# Safe to run again: does nothing when everything is there.
set -eu

packages="qemu-system-x86 mmdebstrap e2fsprogs systemd gcc make linux-headers-amd64
    linux-source xz-utils"

wanted=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        wanted="$wanted $package"
done
[ -n "$wanted" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "$0: neither root nor sudo" >&2; exit 1; }
    as_root="sudo"
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086  (one word a package)
$as_root apt-get install -y -qq --no-install-recommends $wanted ||
    { echo "tools/emulated/install.sh: apt-get install$wanted failed" >&2; exit 1; }
echo "installed:$wanted"
