#!/bin/sh
# Installs the agent as a systemd service on this box, or into an image of one.
# Debian 12 and 13, Raspberry Pi OS, Jetson Linux. Safe to run again: that is how it is updated.
set -eu

usage() {
    cat <<'USAGE'
Usage: sudo tools/install_service.sh [--board pi4|pi5|jetson-orin] [--root DIR] [--wheel FILE]
                                     [--python PROGRAM] [--no-program]

  --board       installs that board's part of firmware_config/ as well
  --root        installs into the system under DIR (a mounted image) instead of the running one
  --wheel       installs this wheel instead of the checkout that this script lies in
  --python      what makes the virtual environment (default: python3; 3.11 or newer)
  --no-program  units and settings only; the program is already there
USAGE
}

fail() {
    echo "install_service: $1" >&2
    exit 1
}

root="" board="" wheel="" python="python3" has_program=true
checkout="$(cd "$(dirname "$0")/.." && pwd)"
while [ $# -gt 0 ]; do
    case "$1" in
        --root) root="$(cd "$2" && pwd)" || fail "--root $2: no such folder"; shift ;;
        --board) board="$2"; shift ;;
        --wheel) wheel="$(realpath "$2")"; shift ;;
        --python) python="$2"; shift ;;
        --no-program) has_program=false ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
[ "$root" != / ] || root=""
[ "$(id -u)" -eq 0 ] || fail "has to be run as root: sudo $0"
if [ -n "$board" ] && [ ! -d "$checkout/firmware_config/$board" ]; then
    fail "--board $board: unknown; one of pi4, pi5, jetson-orin"
fi

put() { # FILE TARGET [MODE]
    install -D -m "${3:-0644}" "$1" "$root$2"
}

# Into an image the program goes from outside: its processor may be another one.
install_program() {
    [ -z "$root" ] || fail "--root: build the program on the box itself, and pass --no-program here"
    venv=/opt/edge-agent/venv
    # On a Raspberry Pi, libcamera and picamera2 come from Debian packages.
    [ -x "$venv/bin/python" ] || "$python" -m venv --system-site-packages "$venv" ||
        fail "no virtual environment: apt install python3-venv"
    "$venv/bin/python" -m pip install --quiet --upgrade "${wheel:-$checkout}[gpio]" ||
        fail "pip install ${wheel:-$checkout} failed: see the lines above"
}

install_units() {
    put "$checkout/systemd/edge-agent.service" /etc/systemd/system/edge-agent.service
    put "$checkout/systemd/edge-agent.sysusers.conf" /etc/sysusers.d/edge-agent.conf
    put "$checkout/systemd/edge-agent.tmpfiles.conf" /etc/tmpfiles.d/edge-agent.conf
    put "$checkout/systemd/edge-agent" /usr/local/bin/edge-agent 0755
    systemd-sysusers ${root:+"--root=$root"} edge-agent.conf
    systemd-tmpfiles --create ${root:+"--root=$root"} edge-agent.conf
    systemctl ${root:+"--root=$root"} --quiet enable edge-agent.service
}

# A board's folder, and the one for every board, mirror the file system.
install_firmware() {
    for part in every-board "$board"; do
        (cd "$checkout/firmware_config/$part" && find . -type f ! -name README.md) |
            while read -r file; do
                put "$checkout/firmware_config/$part/$file" "${file#.}"
            done
    done
    into_boot_settings
}

# Between two marks in config.txt: boot loaders do not follow `include`.
into_boot_settings() {
    boot="$root/boot/firmware"
    [ -f "$boot/edge-agent.txt" ] && [ -f "$boot/config.txt" ] || return 0
    {
        sed '/^# begin edge-agent$/,/^# end edge-agent$/d' "$boot/config.txt"
        printf '# begin edge-agent\n[all]\n'
        cat "$boot/edge-agent.txt"
        printf '# end edge-agent\n'
    } >"$boot/config.txt.new"
    mv "$boot/config.txt.new" "$boot/config.txt"
}

wake() {
    systemctl daemon-reload
    [ -z "$board" ] || udevadm control --reload 2>/dev/null || true
    if [ -f /etc/edge-agent/site.yaml ]; then
        systemctl restart edge-agent.service
    else
        echo "next: write /etc/edge-agent/site.yaml (docs/install.md), then"
        echo "      edge-agent doctor && systemctl start edge-agent"
    fi
    [ -z "$board" ] || echo "then: restart the box, for $board's boot settings"
}

[ "$has_program" = false ] || install_program
install_units
[ -z "$board" ] || install_firmware
[ -n "$root" ] || [ ! -d /run/systemd/system ] || wake
echo "installed: edge-agent.service ${board:+for $board }${root:+under $root}"
