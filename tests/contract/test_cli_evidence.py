"""What `evidence verify` and `evidence show` say, to people and to machines."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rfc8785
from click.testing import CliRunner, Result

from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey
from edge_agent.evidence.bundle.container import pack, unpack
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))


@pytest.fixture
def root(tmp_path: Path, key: DeviceKey) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(key.chain_pem)
    return path


def write(folder: Path, key: DeviceKey, kind: Any = "replay", *subjects: str) -> list[Path]:
    media = Media("street.mp4", kind, "ab" * 32 if kind == "replay" else None, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    wall = START + timedelta(seconds=12)
    frame = Frame("c1", 120, 12.0, wall, ArrayPicture(np.zeros((36, 64, 3), np.uint8)))
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    writer = BundleWriter(folder, key, origin, Evidence(), {})
    log_key = LogKey.load_or_create(folder.parent / "state")
    writer.log = MerkleLog(folder / "log", log_key, origin.log, resumes=not origin.is_replay)
    paths = []
    for subject in subjects or ("s1",):
        begin = Event("c1", "parking.illegal", subject, "begin", 4.0, 12.0, wall, 120, "kerb")
        case = Case(subject, begin, begin, (photo,), None, False, ("vehicle has not left",))
        paths.append(Path(writer.write(case, None).path))
    return paths


@pytest.fixture
def bundle(tmp_path: Path, key: DeviceKey) -> Path:
    (path,) = write(tmp_path / "out", key)
    return path


def sign(path: Path, key: DeviceKey, change: Callable[[Any], None]) -> None:
    """What somebody with a key of their own can say, and that they keep no log."""
    members = {member.name: member.data or b"" for member in unpack(path.read_bytes())}
    del members["proof.tlog-proof"]
    manifest = json.loads(members["manifest.json"])
    manifest["log"] = None
    change(manifest)
    text = rfc8785.dumps(manifest)
    envelope = Envelope(text, b"", key.fingerprint)
    sealed = Envelope(text, key.sign(envelope.signed), key.fingerprint)
    members |= {"manifest.json": text, "manifest.dsse": sealed.to_bytes()}
    path.write_bytes(pack(members.items()))


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8\xff") + 200] ^= 1
    path.write_bytes(data)


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["evidence", *map(str, args)])


def test_without_a_root_nobody_is_said_to_have_signed(bundle: Path, key: DeviceKey) -> None:
    done = run("verify", bundle)
    assert done.exit_code == 0
    assert done.stdout == (
        f"INTACT   {bundle}: nothing was altered since it was signed; the signer is not proven "
        f"(claims to be box-1, certificate {key.fingerprint[:16]}…): pass --root; "
        "not evidential: replay, vehicle has not left\n"
    )


def test_a_claim_to_be_evidential_is_no_more_than_that(tmp_path: Path, key: DeviceKey) -> None:
    (path,) = write(tmp_path / "live", key, "live")

    def pretend(manifest: Any) -> None:
        manifest.update(evidential=True, reasons=[])

    sign(path, key, pretend)
    assert run("verify", path).stdout.endswith("pass --root; claims to be evidential; in no log\n")
    root = tmp_path / "state" / "box-1" / "device-cert.pem"
    assert run("verify", path, "--root", root).stdout.endswith("; evidential; in no log\n")


def test_with_its_root_it_is_valid(bundle: Path, root: Path, key: DeviceKey) -> None:
    done = run("verify", bundle, "--root", root)
    assert (done.exit_code, done.stdout) == (
        0,
        f"VALID    {bundle}: signed by box-1 (certificate {key.fingerprint[:16]}…); "
        "not evidential: replay, vehicle has not left\n",
    )


def test_with_another_root_it_is_invalid(bundle: Path, tmp_path: Path) -> None:
    other = DeviceKey.load_or_create(tmp_path / "other", "box-1", ManualClock(START))
    (tmp_path / "other.pem").write_bytes(other.chain_pem)
    done = run("verify", bundle, "--root", tmp_path / "other.pem")
    assert done.exit_code == EXIT_CODES["certificate"]
    assert done.stdout.startswith(f"INVALID  {bundle}: chain.pem does not lead to the given root")


def test_the_order_of_bundles_vouches_for_no_signer(tmp_path: Path, key: DeviceKey) -> None:
    paths = write(tmp_path / "out", key, "replay", "a", "b")
    done = run("verify", *paths)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "IN ORDER 2 in a row"
    assert run("verify", paths[1], paths[1]).exit_code == EXIT_CODES["chain"]


def test_machines_are_told_as_much_as_people(bundle: Path, root: Path, key: DeviceKey) -> None:
    expected = {
        "path": str(bundle),
        "verdict": "intact",
        "valid": False,
        "intact": True,
        "exit_code": 0,
        "pinned": False,
        "evidential": False,
        "reasons": ["replay", "vehicle has not left"],
        "log": {"origin": "edge/plaza/box-1/replay/boot", "index": 0},
        "device": "box-1",
        "signer_fingerprint": key.fingerprint,
        "there_by": None,
        "revocation": None,
        "witnessed": None,
        "findings": [],
    }
    assert json.loads(run("verify", bundle, "--json").stdout) == [expected]
    pinned = expected | {"verdict": "valid", "valid": True, "pinned": True}
    assert json.loads(run("verify", bundle, "--json", "--root", root).stdout) == [pinned]
    bundle.write_bytes(b"garbage")
    (told,) = json.loads(run("verify", bundle, "--json").stdout)
    assert (told["verdict"], told["device"]) == ("invalid", None)


def test_show_ends_with_the_verdict_of_verification(bundle: Path, root: Path) -> None:
    assert run("show", bundle).exit_code == 0
    assert run("show", bundle, "--root", root).stdout.startswith("VALID")
    alter(bundle)
    done = run("show", bundle)
    assert done.exit_code == EXIT_CODES["altered"]
    assert done.stdout.startswith(f"INVALID  {bundle}: media/wide.jpg was altered")
    assert "parking.illegal, zone kerb" in done.stdout
    done = run("show", bundle, "--json")
    assert done.exit_code == EXIT_CODES["altered"]
    told = json.loads(done.stdout)
    assert told["verification"]["verdict"] == "invalid"
    assert told["case"]["kind"] == "parking.illegal"


def test_show_of_something_else_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.evb"
    path.write_bytes(b"garbage")
    done = run("show", path)
    assert done.exit_code == EXIT_CODES["unreadable"]
    assert done.stdout.startswith("INVALID")


def test_a_bundle_that_is_not_there_is_told_once(bundle: Path, tmp_path: Path) -> None:
    done = run("verify", tmp_path / "nope.evb", bundle)
    assert done.exit_code == EXIT_CODES["unreadable"]
    assert [line.partition("  ")[0] for line in done.stdout.splitlines()] == ["INVALID", "INTACT"]
    assert "Errno" not in done.stdout
    assert "order" not in done.stdout


def test_an_invalid_bundle_is_unpacked_after_it_was_called_so(bundle: Path, tmp_path: Path) -> None:
    alter(bundle)
    done = run("show", bundle, "--extract", tmp_path / "case")
    assert done.exit_code == EXIT_CODES["altered"]
    assert done.stdout.startswith("INVALID")
    assert f"unpacked  {tmp_path}/case/media/wide.jpg\n" in done.stdout
    assert (tmp_path / "case" / "media" / "wide.jpg").is_file()
    done = run("show", bundle, "--extract", tmp_path / "again", "--json")
    assert json.loads(done.stdout)["verification"]["valid"] is False
    assert f"unpacked  {tmp_path}/again/media/wide.jpg\n" in done.stderr


def test_words_of_a_bundle_are_shown_and_not_obeyed(bundle: Path, key: DeviceKey) -> None:
    def speak(manifest: Any) -> None:
        manifest["source"]["media_name"] = "[red]clip[/x] :smile:.mp4"
        manifest["model"]["name"] = "[link=https://example.org]yolo"
        manifest["case"]["reasons"] = ["[blink]seen[/blink]"]

    sign(bundle, key, speak)
    done = run("show", bundle)
    assert done.exit_code == 0
    for words in ("[red]clip[/x] :smile:.mp4", "[link=https://example.org]yolo", "[blink]seen[/"):
        assert words in done.stdout


def test_what_a_terminal_would_obey_never_reaches_it(bundle: Path, key: DeviceKey) -> None:
    def command(manifest: Any) -> None:
        manifest["device"]["id"] = "box-1 (trusted)\x1b[8m"
        manifest["\x1b[2J"] = 1

    sign(bundle, key, command)
    for args in (("verify", bundle), ("show", bundle), ("show", bundle, "--json")):
        done = run(*args)
        assert done.exit_code == EXIT_CODES["inconsistent"]
        assert "\x1b" not in done.output
