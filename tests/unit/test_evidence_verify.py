"""Verification names what was done to a bundle; forgeries here are made as a forger would."""

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.errors import EvidenceError
from edge_agent.evidence import (
    EXIT_CODES,
    BundleWriter,
    DeviceKey,
    extract,
    verify,
)
from edge_agent.evidence.bundle.container import pack
from edge_agent.evidence.trust.dsse import Envelope, pae
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo, Role

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
NOISE = np.random.default_rng(3).integers(0, 255, (18, 32, 3), np.uint8)
TIMES: dict[Role, float] = {"enter": 2.0, "wide": 12.0, "close": 14.0, "leave": 40.0}

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256 (SP 800-186, 3.2.1.3)."""

Members = dict[str, bytes]


def photo(role: Role) -> Photo:
    t = TIMES[role]
    image = np.asarray(cv2.resize(NOISE, (160, 90)), np.uint8)
    frame = Frame("c1", int(t * 10), t, START + timedelta(seconds=t), ArrayPicture(image + int(t)))
    return Photo(role, frame, Box(40, 40, 80, 70), None, 1.0)


def case(subject: str = "s1", revision: int = 2) -> Case:
    def event(phase: Any, t: float) -> Event:
        wall = START + timedelta(seconds=t)
        return Event("c1", "parking.illegal", subject, phase, 4.0, t, wall, int(t * 10), "kerb")

    begin, is_complete = event("begin", 12.0), revision == 2
    photos = tuple(photo(role) for role in TIMES if is_complete or role != "leave")
    latest = event("end", 42.0) if is_complete else begin
    reasons = () if is_complete else ("vehicle has not left",)
    return Case(subject, begin, latest, photos, (7.0, 17.0), is_complete, reasons, revision)


def origin(kind: Any = "replay") -> Origin:
    media = Media("street.mp4", kind, "ab" * 32 if kind == "replay" else None, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    return Origin({"name": "plaza"}, "box-1", "boot-7", "ef" * 32, "edge-agent 0", cameras)


def make_writer(folder: Path, key: DeviceKey, kind: str = "replay") -> BundleWriter:
    return BundleWriter(folder, key, origin(kind), Evidence(), {})


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))


@pytest.fixture
def path(tmp_path: Path, key: DeviceKey) -> Path:
    return Path(make_writer(tmp_path / "out", key).write(case(), b"clip").path)


def read(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forge(path: Path, change: Callable[[Members], None]) -> Path:
    """Change the members and pack them as we would: the container itself is spotless."""
    members = read(path)
    change(members)
    path.write_bytes(pack(members.items()))
    return path


def sign(members: Members, key: DeviceKey, change: Callable[[Any], None]) -> None:
    """What somebody with the device's key could do."""
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    text = rfc8785.dumps(manifest)
    unsigned = Envelope(text, b"", key.fingerprint)
    members["manifest.json"] = text
    sealed = Envelope(text, key.sign(unsigned.signed), key.fingerprint)
    members["manifest.dsse"] = sealed.to_bytes()


def said(path: Path, root: bytes | None = None) -> list[str]:
    report = verify(path, root)
    assert report.is_valid == (not report.findings) == (report.exit_code == 0)
    return [f"{finding.code}: {finding}" for finding in report.findings]


def test_a_genuine_bundle_is_valid(path: Path) -> None:
    report = verify(path)
    assert (report.findings, report.exit_code, report.is_valid) == ((), 0, True)
    assert report.facts["source"]["kind"] == "replay"
    assert len(report.facts["manifest_sha256"]) == 64
    assert (report.is_pinned, report.verdict) == (False, "intact")


def test_exit_codes_are_distinct_and_above_the_general_ones() -> None:
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert min(EXIT_CODES.values()) > 2


def test_pae_is_the_one_of_the_specification() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, test vector
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_openssl_verifies_the_envelope(path: Path, tmp_path: Path) -> None:
    members = read(path)
    envelope = Envelope.from_bytes(members["manifest.dsse"])
    (tmp_path / "signed").write_bytes(envelope.signed)
    (tmp_path / "sig").write_bytes(envelope.signature)
    (tmp_path / "cert.pem").write_bytes(members["chain.pem"])
    extracted = subprocess.run(
        ["openssl", "x509", "-in", "cert.pem", "-noout", "-pubkey"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    (tmp_path / "pub").write_bytes(extracted.stdout)
    command = ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "signed"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == b"Verified OK\n"


def test_an_altered_file_is_named(path: Path) -> None:
    for name in ["media/close.jpg", "media/clip.mp4", "derived/wide-overlay.jpg", "device.json"]:
        copy = path.with_name("copy.evb")
        shutil.copy(path, copy)

        def flip(members: Members, name: str = name) -> None:
            members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])

        assert said(forge(copy, flip)) == [f"altered: {name} was altered: its hash is another"]


def test_a_removed_file_is_named(path: Path) -> None:
    def remove(members: Members) -> None:
        del members["media/leave.jpg"]

    assert said(forge(path, remove)) == ["missing: media/leave.jpg is missing"]
    assert verify(path).exit_code == EXIT_CODES["missing"]


def test_an_added_file_is_named(path: Path) -> None:
    def add(members: Members) -> None:
        members["proof.tlog-proof"] = b"trust me"

    (finding,) = said(forge(path, add))
    assert finding.startswith("extra: proof.tlog-proof")


def test_swapped_photos_are_told_by_name(path: Path) -> None:
    def swap(members: Members) -> None:
        enter, wide = "media/enter.jpg", "media/wide.jpg"
        members[enter], members[wide] = members[wide], members[enter]

    assert said(forge(path, swap)) == [
        "altered: media/enter.jpg holds the bytes of media/wide.jpg",
        "altered: media/wide.jpg holds the bytes of media/enter.jpg",
    ]


def test_an_overlay_passed_off_as_the_original_is_told(path: Path) -> None:
    def pass_off(members: Members) -> None:
        members["media/wide.jpg"] = members["derived/wide-overlay.jpg"]

    assert said(forge(path, pass_off)) == [
        "altered: media/wide.jpg holds the bytes of derived/wide-overlay.jpg"
    ]


def test_an_edited_manifest_is_told(path: Path) -> None:
    def edit(members: Members) -> None:
        members["manifest.json"] = members["manifest.json"].replace(b'"kerb"', b'"park"')

    assert said(forge(path, edit)) == [
        "altered: manifest.json is not what was signed: it was altered"
    ]


def test_an_edited_manifest_in_both_places_breaks_the_signature(path: Path) -> None:
    def edit(members: Members) -> None:
        envelope = Envelope.from_bytes(members["manifest.dsse"])
        text = envelope.payload.replace(b'"kerb"', b'"park"')
        members["manifest.json"] = text
        forged = Envelope(text, envelope.signature, envelope.key_id)
        members["manifest.dsse"] = forged.to_bytes()

    assert [text.split(":")[0] for text in said(forge(path, edit))] == ["signature"]


def test_another_device_cannot_sign_for_this_one(path: Path, tmp_path: Path) -> None:
    other = DeviceKey.load_or_create(tmp_path / "other", "box-1", ManualClock(START))

    def resign(members: Members) -> None:
        sign(members, other, lambda manifest: None)

    assert verify(forge(path, resign)).exit_code == EXIT_CODES["signature"]


def test_a_wholly_forged_bundle_needs_a_root_to_be_told(tmp_path: Path, key: DeviceKey) -> None:
    forger = DeviceKey.load_or_create(tmp_path / "other", "box-1", ManualClock(START))
    path = Path(make_writer(tmp_path / "out", forger).write(case(), None).path)
    assert verify(path).verdict == "intact"
    (finding,) = said(path, root=key.chain_pem)
    assert finding == (
        "certificate: chain.pem does not lead to the given root: made by somebody else"
    )
    assert verify(path, root=forger.chain_pem).verdict == "valid"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.dsse", "chain.pem"])
def test_without_what_is_needed_to_verify_it_is_invalid(path: Path, name: str) -> None:
    def remove(members: Members) -> None:
        del members[name]

    findings = said(forge(path, remove))
    assert findings[0] == f"missing: {name} is missing"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.dsse", "chain.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"[" * 100_000, b"{}", b"null"])
def test_garbage_in_what_is_parsed_is_named(path: Path, name: str, content: bytes) -> None:
    def put(members: Members) -> None:
        members[name] = content

    assert any(f" {name} " in text for text in said(forge(path, put)))


FORGERIES: dict[str, Callable[[Any], None]] = {
    "a replay claims to be evidential": lambda m: m.update(evidential=True, reasons=[]),
    "mark and its reasons contradict": lambda m: m.update(reasons=[]),
    "wide was taken before enter": lambda m: m["media"][0].update(pts_s=13.0, frame=125),
    "leave was taken before wide": lambda m: m["media"][3].update(pts_s=3.0, frame=30),
    "contradict their frame numbers": lambda m: m["media"][0].update(frame=121),
    "two photos have the same role": lambda m: m["media"][0].update(role="wide"),
    "the case ends before it begins": lambda m: m["case"]["latest"].update(pts_s=1.0),
    "id does not follow": lambda m: m["case"].update(subject="another"),
    "complete and partial contradict": lambda m: m["case"].update(is_complete=False),
    "only the first bundle of a chain": lambda m: m["chain"].update(index=4),
    "it supersedes a later bundle": lambda m: m.update(
        supersedes={"index": 9, "manifest_sha256": "00" * 32}
    ),
    "derives from media/nothing.jpg": lambda m: m["derived"][0].update(
        derived_from="media/nothing.jpg"
    ),
    "is not a manifest of": lambda m: m.update(format="edge-agent.bundle/9"),
    "case.revision": lambda m: m["case"].update(revision=0),
    "surprise": lambda m: m.update(surprise=1),
    "should match pattern": lambda m: m["media"][0].update(path="media/\x1b[2J.jpg"),
    "device.id": lambda m: m["device"].update(id="box-1 (trusted)\x1b[8m"),
    "case.zone": lambda m: m["case"].update(zone="kerb\nVALID"),
    "source.camera": lambda m: m["source"].update(camera="c1; evidential"),
    "holds what cannot be printed": lambda m: m["reasons"].append("\u202egnp"),
    r"\x1b[2J: Extra inputs": lambda m: m.update({"\x1b[2J": 1}),
    "wide lies in derived/wide-overlay.jpg": lambda m: m["media"][1].update(
        path="derived/wide-overlay.jpg"
    ),
    "clip lies in media/wide.jpg": lambda m: m["media"][4].update(path="media/wide.jpg"),
    "media/copy.jpg is derived, but does not lie in derived/": lambda m: m["derived"][0].update(
        path="media/copy.jpg"
    ),
    "media/note.txt is attached": lambda m: m["attached"][0].update(path="media/note.txt"),
    "the time of leave is not that of the recording": lambda m: m["media"][3].update(
        utc="2026-05-13T09:49:52.002Z"
    ),
    "the time of the beginning is not that of": lambda m: m["case"]["begin"].update(
        utc="2031-05-13T09:49:24.000Z"
    ),
    "the time of the latest event is not that of": lambda m: m["source"].update(
        start="2026-05-13T09:49:11.000Z"
    ),
    "source.start": lambda m: m["source"].update(start="2026-05-13 09:49:12"),
    "case.begin.utc": lambda m: m["case"]["begin"].update(utc="2026-02-30T09:49:12.000Z"),
    "decided before it began": lambda m: m["case"].update(since_s=13.0, dwell_s=1.0),
    "close was taken after the end": lambda m: m["media"][2].update(
        pts_s=9999.0, frame=99999, utc="2026-05-13T12:35:51.000Z"
    ),
    "enter was taken after the beginning": lambda m: m["media"][0].update(
        pts_s=12.1, frame=121, utc="2026-05-13T09:49:24.100Z"
    ),
    "wide was taken before the beginning": lambda m: m["media"][1].update(
        pts_s=11.9, frame=119, utc="2026-05-13T09:49:23.900Z"
    ),
    "the time that the vehicle stood": lambda m: m["case"].update(dwell_s=38.01),
    "the vehicle stood is not that of the case": lambda m: m["case"].update(dwell_s=-1.0),
    "the chain is another one's": lambda m: m["chain"].update(origin="edge/plaza/box-1"),
    "complete before it has ended": lambda m: m["case"].update(phase="update"),
    "media.0.PhotoFile.encoding": lambda m: m["media"][0].pop("encoding"),
}


@pytest.mark.parametrize("says", FORGERIES)
def test_signed_contradictions_are_told(path: Path, key: DeviceKey, says: str) -> None:
    forge(path, lambda members: sign(members, key, FORGERIES[says]))
    findings = [text for text in said(path) if text.startswith("inconsistent: manifest.json")]
    assert any(says in text for text in findings), findings


def test_a_complete_case_has_four_photos(path: Path, key: DeviceKey) -> None:
    def drop(members: Members) -> None:
        def change(manifest: Any) -> None:
            manifest["media"].pop(3)
            manifest["derived"][-1]["derived_from"].pop(3)

        sign(members, key, change)
        del members["media/leave.jpg"]

    assert said(forge(path, drop)) == ["inconsistent: manifest.json a complete case with 3 photos"]


def test_changes_by_ordinary_tools_are_named(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", b"hello")
    assert [text.split()[:2] for text in said(path)] == [
        ["extra:", "notes.txt"],
        ["container:", "notes.txt"],
    ]


def test_a_repacked_bundle_is_told(path: Path) -> None:
    members, buffer = read(path), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    assert said(path)[0] == "container: manifest.json is compressed: the bundle was repacked"
    path.write_bytes(pack(sorted(members.items())))
    (finding,) = said(path)
    assert finding.startswith("container: ") and "not in canonical form" in finding


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data + b"\x00", "container"),
        (lambda data: b"MZ" + data, "unreadable"),
        (lambda data: data[:-1], "container"),
        (lambda data: data[: len(data) // 2], "container"),
        (lambda data: b"", "unreadable"),
    ],
    ids=["appended", "prepended", "shortened", "halved", "empty"],
)
def test_a_damaged_container_is_told(
    path: Path, change: Callable[[bytes], bytes], code: str
) -> None:
    path.write_bytes(change(path.read_bytes()))
    assert verify(path).findings[0].code == code


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert said(tmp_path / "absent.evb") == ["unreadable: is not there; name an .evb file"]
    assert "is a folder" in said(tmp_path)[0]
    assert "is no file" in said(Path("/dev/zero"))[0]
    assert verify(tmp_path).exit_code == EXIT_CODES["unreadable"]


def test_a_file_larger_than_any_bundle_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.evb").open("wb") as file:
        file.truncate(1 << 31)
    assert "larger than any bundle" in said(tmp_path / "huge.evb")[0]


def test_a_certificate_must_have_been_valid_at_the_time_of_capture(tmp_path: Path) -> None:
    later = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", later)
    live = Path(make_writer(tmp_path / "live", key, "live").write(case(), None).path)
    assert said(live) == [
        "certificate: chain.pem was not valid at the time of capture, 2026-05-13T09:49:24.000Z"
    ]
    replay = Path(make_writer(tmp_path / "replay", key).write(case(), None).path)
    assert said(replay) == [], "a replay shows the past; its time says nothing of the key"


def test_a_certificate_for_another_box_does_not_sign_for_this_one(tmp_path: Path) -> None:
    other = DeviceKey.load_or_create(tmp_path / "state", "box-9", ManualClock(START))
    path = Path(make_writer(tmp_path / "out", other).write(case(), None).path)
    for root in (None, other.chain_pem):
        assert said(path, root) == ["certificate: chain.pem is for box-9, not for box-1"]


def test_the_other_form_of_a_signature_is_refused(path: Path) -> None:
    def mirror(members: Members) -> None:
        envelope = Envelope.from_bytes(members["manifest.dsse"])
        r, s = decode_dss_signature(envelope.signature)
        mirrored = encode_dss_signature(r, ORDER - s)
        members["manifest.dsse"] = replace(envelope, signature=mirrored).to_bytes()

    assert verify(forge(path, mirror)).exit_code == EXIT_CODES["signature"]


def test_a_root_that_is_no_certificate_is_refused(path: Path) -> None:
    with pytest.raises(EvidenceError, match="root: is not a certificate"):
        verify(path, root=b"garbage")


def test_extract_lays_the_files_out(path: Path, tmp_path: Path) -> None:
    written = extract(path, tmp_path / "files")
    found = {str(p.relative_to(tmp_path / "files")): p.read_bytes() for p in written}
    assert found == read(path)
