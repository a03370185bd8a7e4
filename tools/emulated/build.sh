#!/bin/sh
# Builds the emulated machine: a Debian with gpio-sim, a simulated camera, and the agent installed
# as on a box. Usage: build.sh DIR      (DIR receives vmlinuz, initrd.img and disk.img)
# What does not depend on the agent's own code is kept under ~/.cache/edge-agent/emulated.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
checkout="$(cd "$here/../.." && pwd)"
[ $# -eq 1 ] || { echo "usage: build.sh DIR" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "build.sh: has to be run as root" >&2; exit 1; }
mkdir -p "$1"
out="$(cd "$1" && pwd)"
python="$checkout/.venv/bin/python"
[ -x "$python" ] || python=python3

release=bookworm guest_python=3.11
venv=/opt/edge-agent/venv
packages="$venv/lib/python$guest_python/site-packages"
kernel="$(basename "$(readlink -f /usr/src/linux-headers-[0-9]*-amd64 | sort -V | tail -n 1)")"
kernel="${kernel#linux-headers-}"
key="$(cat "$here"/*.sh "$checkout/pyproject.toml" | sha256sum | cut -c 1-12)"
base="${XDG_CACHE_HOME:-$HOME/.cache}/edge-agent/emulated/$kernel-$key"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

make_system() { # DIR
    mmdebstrap --quiet --variant=minbase --mode=root \
        --include="systemd,systemd-sysv,udev,kmod,dbus,python3,libstdc++6,qemu-guest-agent" \
        --include="initramfs-tools,linux-image-$kernel" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook="mkdir -p \"\$1/etc/initramfs-tools/conf.d\"" \
        --essential-hook="echo MODULES=list >\"\$1/etc/initramfs-tools/conf.d/emulated\"" \
        --essential-hook="printf 'nfit\nnd_pmem\next4\n' >\"\$1/etc/initramfs-tools/modules\"" \
        "$release" "$1"
    mv "$1/boot/vmlinuz-$kernel" "$1/boot/vmlinuz"
    mv "$1/boot/initrd.img-$kernel" "$1/boot/initrd.img"
    "$here/gpio_sim.sh" "$kernel" "$work/gpio-sim"
    install -D -m 0644 "$work/gpio-sim/gpio_sim.ko" "$1/usr/lib/modules/$kernel/extra/gpio_sim.ko"
    for unneeded in sound drivers/net drivers/gpu drivers/scsi drivers/infiniband; do
        rm -r "$1/usr/lib/modules/$kernel/kernel/$unneeded"
    done
    chroot "$1" depmod "$kernel"
}

# From outside: the machine has no network, and its processor is this one's kind.
fetch_packages() { # DIR
    set -- "$1" --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        --platform manylinux_2_27_x86_64 --platform manylinux_2_28_x86_64
    "$python" -m pip install -qq --no-compile --only-binary :all: \
        --python-version "$guest_python" --target "$@" "$(echo "$work"/*.whl)[gpio]"
}

add_packages() { # DIR
    chroot "$1" python3 -m venv --without-pip "$venv"
    rm -r "$1$packages"
    mv "$work/packages" "$1$packages"
    sed "1s|.*|#!$venv/bin/python|" "$1$packages/bin/edge-agent" >"$1$venv/bin/edge-agent"
    chmod 0755 "$1$venv/bin/edge-agent"
    chroot "$1" python3 -m compileall -q -j 2 "$packages" || true # templates are no programs
}

"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$checkout"
if [ ! -d "$base" ]; then
    mkdir -p "$(dirname "$base")"
    # an interrupted build leaves nothing that looks finished
    fetch_packages "$work/packages" &
    fetching=$!
    make_system "$work/base"
    wait "$fetching"
    add_packages "$work/base"
    mv "$work/base" "$base"
fi

tree="$work/tree"
cp -a --reflink=auto "$base" "$tree"
rm -r "$tree$packages/edge_agent"
"$python" -m zipfile -e "$work"/*.whl "$tree$packages"
chroot "$tree" python3 -m compileall -q "$packages/edge_agent"
"$checkout/tools/install_service.sh" --root "$tree" --no-program --board pi5 >/dev/null
cp -a "$here/rootfs/." "$tree/"
chown -R root:root "$tree/etc/systemd/system" "$tree/usr/local"
for unit in emulated-lines; do systemctl --quiet --root "$tree" enable "$unit.service"; done
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer getty@tty1.service serial-getty@ttyS0.service e2scrub_reap.service; do
    ln -sf /dev/null "$tree/etc/systemd/system/$unit"
done
echo /dev/pmem0 / ext4 defaults 0 0 >"$tree/etc/fstab"
echo box >"$tree/etc/hostname"
mv "$tree/boot/vmlinuz" "$tree/boot/initrd.img" "$out"
rm -f "$out/disk.img"
truncate -s 2G "$out/disk.img"
mke2fs -q -t ext4 -O ^has_journal -d "$tree" "$out/disk.img"
