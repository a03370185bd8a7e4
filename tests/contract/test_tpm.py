"""A device key in a TPM: swtpm behind its resource manager and tpm2-pkcs11, as on a real box."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODULES = sorted(Path("/usr/lib").glob("*/pkcs11/libtpm2_pkcs11.so"))
PROGRAMS = ("swtpm", "tpm2-abrmd", "tpm2_ptool", "dbus-run-session")
START = """\
port=$1; shift
swtpm socket --tpm2 --tpmstate "dir=$PWD/state" --flags not-need-init,startup-clear \\
    --server "type=tcp,port=$port" --ctrl "type=tcp,port=$((port + 1))" &
swtpm=$!
sleep 0.3
tpm2-abrmd --session --allow-root --tcti="swtpm:port=$port" &
manager=$!
trap 'kill $manager; wait $manager; kill $swtpm' EXIT
for try in 1 2 3 4 5 6 7 8 9; do
    tpm2_ptool init --path=store && break
    sleep 0.3
done
tpm2_ptool addtoken --pid=1 --label=box --userpin=1234 --sopin=5678 --path=store
"$@"
"""
SCRIPT = """\
import json, sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from edge_agent.clock import SystemClock
from edge_agent.config import Pkcs11
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import rotate

token = Pkcs11(module=Path(sys.argv[1]), token="box", pin_file=Path("pin"))
key = DeviceKey.load_or_create(Path("box"), "box-1", SystemClock(), token)
for n in range(5):
    key.key.public_key().verify(key.sign(b"%d" % n), b"%d" % n, ec.ECDSA(SHA256()))
home = Home.of(Path("box"), "box-1", token)
new = rotate(home, SystemClock(), keep=False).new
new.key.public_key().verify(new.sign(b"x"), b"x", ec.ECDSA(SHA256()))
is_gone = home.ring.find(key.key.public_key()) is None
print(json.dumps({**key.facts, "again": new.fingerprint != key.fingerprint, "gone": is_gone}))
"""


def free_ports() -> int:
    """The first of two free ports in a row."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with contextlib.suppress(OSError):
                two.bind(("127.0.0.1", port + 1))
                return port


def test_the_key_lives_in_a_tpm(tmp_path: Path) -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or not MODULES:
        text = f"TPM SIMULATOR ABSENT ({missing}): run tools/install_test_needs.sh"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    for folder in ("state", "store"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "pin").chmod(0o600)
    bus = "tabrmd:bus_type=session"
    environment = {
        **os.environ,
        "TPM2_PKCS11_STORE": str(tmp_path / "store"),
        "TPM2_PKCS11_TCTI": bus,
        "TPM2TOOLS_TCTI": bus,
    }
    inside = [sys.executable, "-c", SCRIPT, str(MODULES[0])]
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", START, "start", str(free_ports()), *inside],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["grade"], told["again"], told["gone"]) == ("tpm", True, True)
