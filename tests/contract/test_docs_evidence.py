"""What docs/evidence.md says: its tables are the code's, and its commands do what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from edge_agent.clock import ManualClock
from edge_agent.evidence import EXIT_CODES, DeviceKey
from edge_agent.evidence.bundle.container import pack
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import Note, Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.evidence.verification.witnessed import known_before
from tamper.bundles import START, Device
from tamper.mutations import MUTATIONS, Scene, forked_log, opened

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "evidence.md").read_text("utf-8")
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(32))
VKEY = Vkey("city.example/w1", WITNESS.public_key().public_bytes_raw(), COSIGNATURE)

FETCH, *STEPS, WITNESSED, COMMANDS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def table(head: str) -> list[list[str]]:
    """The cells of the table whose first line is this."""
    lines = TEXT.partition(f"\n{head}\n")[2].splitlines()
    rows = lines[1 : lines.index("")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def models(annotation: object) -> Iterator[type[BaseModel]]:
    """Every part that a field may hold, and the parts of these."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for inner in annotation.model_fields.values():
            yield from models(inner.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def test_every_field_of_the_manifest_is_told() -> None:
    told = {}
    for fields, holds, _ in table("| field | holds | says |"):
        for field in names(fields):
            told[field] = set(names(holds))
    assert set(told) == set(Manifest.model_fields)
    for field, info in Manifest.model_fields.items():
        held = {name for model in models(info.annotation) for name in model.model_fields}
        assert not held or told[field] == held, field


def test_every_exit_code_is_told() -> None:
    rows = table("| exit | finding | means |")
    assert {names(name)[0]: int(code) for code, name, _ in rows} == dict(EXIT_CODES)
    assert len(rows) == len(EXIT_CODES)


THREATS = table("| threat | what finds it | finding | tried as | by hand |")


def steps_of(row: list[str]) -> set[str]:
    return set(row[4].split(", "))


BY_HAND = {name: steps_of(row) for row in THREATS for name in names(row[3]) if name in MUTATIONS}


def test_every_way_of_tampering_is_a_threat_with_its_codes() -> None:
    tried, found = [], set()
    for row in THREATS:
        codes, ways = set(names(row[2])), names(row[3])
        found |= codes
        mutations = [MUTATIONS[way] for way in ways if not way.endswith(".py")]
        tried += [way for way in ways if not way.endswith(".py")]
        assert not mutations or codes == {code for one in mutations for code in one.codes}, row
        for way in ways:
            assert way in MUTATIONS or (ROOT / way).is_file(), way
    assert sorted(tried) == sorted(MUTATIONS)
    assert found == set(EXIT_CODES)


@dataclass(frozen=True)
class Walk:
    """What came of following the document."""

    status: int
    passed: str
    """The steps that said OK, e.g. `01234`."""
    output: str

    @property
    def failed_at(self) -> str:
        """The number of the step, or `no`."""
        return "no" if self.status == 0 else str(len(self.passed))


def environment(home: Path) -> dict[str, str]:
    """A person's, who has the command."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "HOME": str(home), "PATH": path}


@pytest.fixture
def walk(tmp_path: Path) -> Callable[..., Walk]:
    """Does literally what the document says, as if `make demo` had just left that bundle."""

    def follow(
        bundle: bytes,
        root: bytes,
        blocks: list[str],
        folder: str = "walk",
        vkey: Vkey | None = VKEY,
    ) -> Walk:
        home = tmp_path / folder
        clone, by_hand = home / "edge-agent", home / "by-hand"
        (clone / "out/demo/evidence").mkdir(parents=True)
        (clone / "out/demo/evidence/case-1.evb").write_bytes(bundle)
        (home / ".local/state/edge-agent/demo-box").mkdir(parents=True)
        (home / ".local/state/edge-agent/demo-box/device-cert.pem").write_bytes(root)
        subprocess.run(["bash", "-ec", FETCH], cwd=clone, env=environment(home), check=True)
        (by_hand / "steps.sh").write_text("".join(blocks))
        if vkey is not None:
            (by_hand / "witness.vkey").write_text(f"{vkey}\n")
        done = subprocess.run(
            ["bash", "steps.sh"],
            cwd=by_hand,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        passed = "".join(re.findall(r"^OK (\d) ", done.stdout, re.MULTILINE))
        return Walk(done.returncode, passed, done.stdout + done.stderr)

    return follow


def cosigned(device: Device, seconds: int) -> Note:
    """The log's newest checkpoint as the witness saw it so long after the start."""
    assert device.writer.log is not None
    note = device.writer.log.checkpoint()
    when_s = round(START.timestamp()) + seconds
    return note.with_signature(cosign(note.text, VKEY.name, WITNESS, when_s))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[Device, list[bytes]]:
    """Bundles that lie between two cosignatures."""
    device = Device.make(tmp_path_factory.mktemp("live"), 5, "live")
    list(device.bundles(2))
    earlier = cosigned(device, 0)
    device.writer.witnessed = lambda: known_before(earlier, [VKEY])
    paths = list(device.bundles(5))
    device.writer.renew_proofs(cosigned(device, 3600))
    return device, [path.read_bytes() for path in paths]


@pytest.fixture(scope="module")
def thief(tmp_path_factory: pytest.TempPathFactory) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path_factory.mktemp("thief"), "box-1", ManualClock(START))


@pytest.mark.slow
def test_a_genuine_bundle_passes_every_step(live: Any, walk: Callable[..., Walk]) -> None:
    device, bundles = live
    for number, bundle in enumerate(bundles):
        done = walk(bundle, device.key.chain_pem, [*STEPS, WITNESSED], f"{number}")
        assert (done.status, done.passed) == (0, "0123456"), done.output
        assert "not later than Wed May 13 10:49:12" in done.output
        assert "not earlier than Wed May 13 09:49:12" in done.output


@pytest.mark.slow
def test_a_replay_has_no_witness(tmp_path: Path, walk: Callable[..., Walk]) -> None:
    device = Device.make(tmp_path / "box", 6)
    root, bundle = device.key.chain_pem, next(device.bundles(1)).read_bytes()
    done = walk(bundle, root, [*STEPS, WITNESSED, COMMANDS], "replay", None)
    assert (done.status, done.passed) == (0, "012345"), done.output
    assert "no witness.vkey: that a witness saw it was not checked" in done.output
    assert "FAILED" not in done.output
    assert "VALID    case.evb" in done.output
    assert "written  verify.html" in done.output
    assert walk(bundle, root, [*STEPS, WITNESSED], "asked").failed_at == "6"


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_tampering_stops_it_where_the_table_says(
    name: str, live: Any, thief: DeviceKey, walk: Callable[..., Walk]
) -> None:
    device, bundles = live
    keys = (thief, device.key, device.log_key)
    scene = Scene.of(bundles[2], bundles[1], keys, 2)
    done = walk(MUTATIONS[name].apply(scene), device.key.chain_pem, STEPS)
    assert done.failed_at in BY_HAND[name], done.output
    assert done.status == 0 or "FAILED: " in done.output


@pytest.mark.slow
def test_only_the_witness_stops_a_second_history(
    live: Any, thief: DeviceKey, walk: Callable[..., Walk]
) -> None:
    device, bundles = live
    keys = (thief, device.key, device.log_key)
    forged = forked_log(Scene.of(bundles[1], bundles[0], keys, 1))
    assert walk(forged, device.key.chain_pem, [*STEPS, WITNESSED], "alone", None).status == 0
    assert walk(forged, device.key.chain_pem, [*STEPS, WITNESSED]).failed_at == "6"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("member", "mark", "beyond", "step"),
    [
        ("chain.pem", "MII", 20, "1"),
        ("manifest.json", '"zone":"', 0, "2"),
        ("manifest.dsse", '"sig":"', 20, "2"),
        ("media/wide.jpg", "JFIF", 0, "3"),
        ("device.json", "software", 0, "3"),
        ("proof.tlog-proof", "index ", 0, "4"),
        ("proof.tlog-proof", "— edge/plaza/box-1 ", 20, "5"),
        ("proof.tlog-proof", "— city.example/w1 ", 20, "6"),
    ],
)
def test_a_changed_byte_stops_it(
    *, member: str, mark: str, beyond: int, step: str, live: Any, walk: Callable[..., Walk]
) -> None:
    device, bundles = live
    members = opened(bundles[2])
    data, sought = bytearray(members[member]), mark.encode()
    assert sought in data
    data[data.index(sought) + len(sought) + beyond] ^= 1
    members[member] = bytes(data)
    done = walk(pack(members.items()), device.key.chain_pem, [*STEPS, WITNESSED])
    assert done.failed_at == step, done.output


@pytest.mark.slow
def test_a_byte_changed_on_the_disk_does_not_even_unpack(
    live: Any, walk: Callable[..., Walk]
) -> None:
    device, bundles = live
    data = bytearray(bundles[2])
    data[data.index(b"JFIF")] ^= 1
    assert walk(bytes(data), device.key.chain_pem, STEPS).failed_at == "0"
