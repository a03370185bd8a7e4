#!/bin/sh
# Installs what the tests need beside PyPI: a real MQTT broker (mosquitto) and its clients.
# Debian, Ubuntu and Raspberry Pi OS. Safe to run again: does nothing when both are present.
set -eu

has_broker() { command -v mosquitto || test -x /usr/sbin/mosquitto; }
has_client() { command -v mosquitto_sub; }

if has_broker >/dev/null && has_client >/dev/null; then
    echo "mosquitto and mosquitto-clients are already installed"
    exit 0
fi

fail() {
    echo "install_test_needs: $1" >&2
    exit 1
}

command -v apt-get >/dev/null ||
    fail "no apt-get here: install the mosquitto broker and its clients (mosquitto_sub) by hand"

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "neither root nor sudo: run this script as root"
    as_root="sudo"
fi

export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq || fail "apt-get update failed: check the network and /etc/apt"
# The tests start brokers of their own; a packaged service on port 1883 would only be in the way.
$as_root apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients ||
    fail "apt-get install mosquitto mosquitto-clients failed: see the lines above"

has_broker >/dev/null || fail "installed, but no mosquitto program was found"
echo "installed: mosquitto, mosquitto-clients"
