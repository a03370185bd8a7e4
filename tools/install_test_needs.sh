#!/bin/sh
# Installs what the tests need beside PyPI: a real MQTT broker (mosquitto) and its clients, and a
# software OpenGL for the test that renders the demo street. Debian, Ubuntu, Raspberry Pi OS.
# Safe to run again: does nothing when everything is there.
set -eu

packages="mosquitto mosquitto-clients libegl1 libgl1 libgl1-mesa-dri"

missing() {
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            printf '%s ' "$package"
    done
}

fail() {
    echo "install_test_needs: $1" >&2
    exit 1
}

command -v apt-get >/dev/null ||
    fail "no apt-get here: install a mosquitto broker, its clients and Mesa's EGL by hand"

wanted="$(missing)"
if [ -z "$wanted" ]; then
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "neither root nor sudo: run as root to install $wanted"
    as_root="sudo"
fi

export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq || fail "apt-get update failed: check the network and /etc/apt"
# shellcheck disable=SC2086  (one word a package)
$as_root apt-get install -y -qq --no-install-recommends $wanted ||
    fail "apt-get install $wanted failed: see the lines above"
# A packaged service on port 1883 would only be in the way: the tests start brokers of their own.
echo "installed: $wanted"
