"""Whatever happens to a bundle's bytes: it is noticed, named, and nothing crashes."""

import base64
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, DeviceKey, verify, verify_chain
from edge_agent.evidence.bundle.container import ContainerError, Member, pack, unpack
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.evidence.trust import certificates
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
MANY = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle")


@pytest.fixture(scope="module")
def genuine(folder: Path) -> bytes:
    key = DeviceKey.load_or_create(folder / "state", "box-1", ManualClock(START))
    media = Media("street.mp4", "replay", "ab" * 32, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("motion", None, False))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    wall = START + timedelta(seconds=12)
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, wall, 120, "kerb")
    frame = Frame("c1", 120, 12.0, wall, ArrayPicture(np.zeros((18, 32, 3), np.uint8)))
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    case = Case("s1", begin, begin, (photo,), (7.0, 17.0), False, ("vehicle has not left",))
    writer = BundleWriter(folder / "out", key, origin, Evidence(), {})
    writer.log = MerkleLog(folder / "log", LogKey.load_or_create(folder / "state"), origin.log)
    for index in range(3):
        writer.log.append(b"event %d" % index)
    bundle = writer.write(case, b"clip" * 20)
    return Path(bundle.path).read_bytes()


def in_data(members: tuple[Member, ...], at: int) -> str | None:
    """Name of the member whose content (not header) that byte belongs to."""
    for member in members:
        assert member.data is not None
        if member.end - len(member.data) <= at < member.end:
            return member.name
    return None


def check_flip(genuine: bytes, path: Path, bit: int) -> None:
    at = bit // 8
    flipped = bytearray(genuine)
    flipped[at] ^= 1 << bit % 8
    path.write_bytes(flipped)
    report = verify(path)
    assert not report.is_valid, f"bit {bit} was flipped unnoticed"
    hit = in_data(unpack(genuine), at)
    if hit is not None:
        files = [finding.file for finding in report.findings]
        assert hit in files, f"bit {bit} lies in {hit}, blamed: {files}"
        if hit == "proof.tlog-proof":
            assert report.findings[0].code in ("leaf", "inclusion", "checkpoint")
        elif hit not in ("manifest.json", "manifest.dsse", "chain.pem"):
            assert report.findings[0].code == "altered" and files[0] == hit


@MANY
@given(share=st.floats(0, 1, exclude_max=True))
@example(share=0.0)
def test_any_flipped_bit_is_noticed_and_named(genuine: bytes, folder: Path, share: float) -> None:
    check_flip(genuine, folder / "flipped.evb", int(share * len(genuine) * 8))


@pytest.mark.slow
def test_bits_all_over_the_bundle_are_noticed_and_named(genuine: bytes, folder: Path) -> None:
    members = unpack(genuine)
    edges = [*((member.start, member.end) for member in members), (members[-1].end, len(genuine))]
    for start, end in edges:
        for at in range(start, end, max(3, (end - start) // 150)):  # pictures are large
            check_flip(genuine, folder / "every.evb", at * 8 + at % 8)


@MANY
@given(share=st.floats(0, 1, exclude_max=True))
def test_any_truncation_is_noticed(genuine: bytes, folder: Path, share: float) -> None:
    path = folder / "short.evb"
    path.write_bytes(genuine[: int(share * len(genuine))])
    assert not verify(path).is_valid
    verify_chain([path])


@MANY
@given(data=st.binary(max_size=400), at=st.floats(0, 1), prefix=st.booleans())
def test_garbage_never_crashes(
    genuine: bytes, folder: Path, data: bytes, at: float, prefix: bool
) -> None:
    path = folder / "garbage.evb"
    start = int(at * len(genuine)) if prefix else 0
    content = genuine[:start] + data + genuine[start + len(data) :] if prefix else data
    path.write_bytes(content)
    assert verify(path).is_valid == (content == genuine)
    verify_chain([path])


@MANY
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z]{1,3})?", fullmatch=True),
        st.binary(max_size=50),
        min_size=1,
        max_size=5,
    )
)
def test_packing_and_unpacking_are_inverse(members: dict[str, bytes]) -> None:
    found = unpack(pack(members.items()))
    assert {member.name: member.data for member in found} == members


@MANY
@given(st.binary(max_size=200).map(lambda tail: b"PK\x03\x04" + tail))
def test_unpacking_refuses_in_one_way_only(data: bytes) -> None:
    with suppress(ContainerError):
        unpack(data)


@MANY
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode())))
def test_parsers_refuse_in_one_way_only(data: bytes) -> None:
    for parse in (Envelope.from_bytes, Manifest.from_bytes):
        with suppress(ValueError):
            parse(data)


@MANY
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_odd_certificates_are_refused_in_one_way_only(
    genuine: bytes, at: float, value: int
) -> None:
    pem = next(member.data for member in unpack(genuine) if member.name == "chain.pem")
    assert pem is not None
    der = bytearray(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    der[int(at * len(der))] = value
    label = b"-----%s CERTIFICATE-----\n"
    odd = label % b"BEGIN" + base64.encodebytes(der) + label % b"END"
    with suppress(ValueError):
        chain = certificates.read_chain(odd)
        list(chain.flaws("2026-05-13T09:49:24.000Z"))
        chain.leads_to(pem)


@MANY
@given(st.binary(max_size=100), st.binary(max_size=100), st.text(max_size=10))
def test_envelopes_survive_the_round_trip(payload: bytes, signature: bytes, key_id: str) -> None:
    envelope = Envelope(payload, signature, key_id)
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope
