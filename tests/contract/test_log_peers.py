"""The log read by an independent implementation: Go's, which serves its toolchain's checksums."""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.evidence.log.merkle import leaf_hash

SOURCE = Path(__file__).parent / "log_peer" / "main.go"
LIBRARY = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog")
KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
ORIGIN = "edge/plaza/box-1"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in Go; skips, by name, where Go or its library is absent."""
    go = shutil.which("go")
    if go is None or not LIBRARY.is_dir():
        if os.environ.get("CI"):
            pytest.fail("Go is missing on CI: tools/install_test_needs.sh installs it")
        pytest.skip("GO ABSENT: tools/install_test_needs.sh installs it")
    folder = tmp_path_factory.mktemp("go")
    program = folder / "log_peer"
    environment = {
        **os.environ,
        **{"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "CGO_ENABLED": "0"},
    }
    environment.setdefault("GOCACHE", str(folder / "cache"))
    subprocess.run([go, "build", "-o", program, SOURCE], env=environment, check=True, timeout=500)
    return program


def asked(peer: Path, log: MerkleLog, indexes: list[int]) -> subprocess.CompletedProcess[str]:
    """What the peer makes of the log on the disk."""
    command = [str(peer), str(log.folder), str(log.vkey)]
    text = "\n".join(map(str, indexes))
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def encoded(hashed: bytes) -> str:
    return b64encode(hashed).decode()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000, 70_000])
def test_go_reads_the_tiles_and_makes_the_same_proofs(
    peer: Path, tmp_path: Path, size: int
) -> None:
    log = MerkleLog(tmp_path, KEY, ORIGIN)
    for index in range(size):
        log.append(b"record %d" % index)
        if index % 997 == 5:
            log.checkpoint()
    log.checkpoint()
    indexes = sorted({0, 1, 255, 256, 511, 65_535, 65_536, size // 2, size - 1} & {*range(size)})
    answer = asked(peer, log, indexes)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["Origin"], told["Size"]) == (ORIGIN, size)
    for index in indexes:
        name = str(index)
        assert told["Leaves"][name] == encoded(leaf_hash(b"record %d" % index))
        assert told["Inclusion"][name] == [encoded(step) for step in log.inclusion(index)]
        if index:
            steps = [encoded(step) for step in log.consistency(index)]
            assert told["Consistency"][name] == steps


@pytest.mark.slow
@pytest.mark.parametrize("name", ["checkpoint", "tile/0/001.p/44", "tile/1/000.p/1"])
def test_go_refuses_what_we_refuse(peer: Path, tmp_path: Path, name: str) -> None:
    log = MerkleLog(tmp_path, KEY, ORIGIN)
    for index in range(300):
        log.append(b"record %d" % index)
    log.checkpoint()
    data = bytearray((tmp_path / name).read_bytes())
    data[20] ^= 1
    (tmp_path / name).write_bytes(data)
    answer = asked(peer, log, [0, 299])
    assert answer.returncode != 0 and answer.stdout == ""
