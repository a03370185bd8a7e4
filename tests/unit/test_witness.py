"""A witness cosigns what continues, refuses what does not, and forgets nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli.witness import REMEDY
from edge_agent.config.settings_file import load_settings
from edge_agent.errors import ConfigError, EvidenceError
from edge_agent.evidence.log import Checkpoint, LogKey, MerkleLog, Note
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.witness import Refusal, Request, Watch, WitnessBook, WitnessSettings

ORIGIN = "edge/plaza/box-1"
NAME = "city.example/w1"
WHEN_S = 1_778_665_752


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def log_key(tmp_path: Path) -> LogKey:
    return LogKey.load_or_create(tmp_path / "state")


@pytest.fixture
def log(tmp_path: Path, log_key: LogKey) -> MerkleLog:
    return MerkleLog(tmp_path / "log", log_key, ORIGIN)


@pytest.fixture
def make_book(tmp_path: Path, key: Ed25519PrivateKey, log_key: LogKey) -> Callable[[], WitnessBook]:
    return lambda: WitnessBook(tmp_path / "w", NAME, key, {ORIGIN: log_key.vkey(ORIGIN)})


def grow(log: MerkleLog, count: int) -> Note:
    for n in range(count):
        log.append(b"%d of %d" % (n, log.size))
    return log.checkpoint()


def request(log: MerkleLog, old: int) -> Request:
    note = log.checkpoint()
    return Request(old, log.consistency(old), note)


def why(book: WitnessBook, asked: Request) -> str:
    with pytest.raises(Refusal) as caught:
        book.cosign(asked, WHEN_S)
    return caught.value.why


def test_a_log_that_grows_is_cosigned_with_the_time(
    log: MerkleLog, make_book: Callable[[], WitnessBook]
) -> None:
    book, old = make_book(), 0
    for n, count in enumerate((1, 300, 0, 7)):
        grow(log, count)
        answer = book.cosign(request(log, old), WHEN_S + n)
        signature = answer.signed_by(book.vkey)
        assert signature is not None and signature.when_s == WHEN_S + n
        assert answer.signed_by(log.vkey) is not None
        old = log.size
    assert book.vkey.algorithm == COSIGNATURE
    assert make_book().newest(ORIGIN) == book.newest(ORIGIN) == answer


def test_a_fork_is_refused_and_alarming(
    log: MerkleLog, log_key: LogKey, tmp_path: Path, make_book: Callable[[], WitnessBook]
) -> None:
    book = make_book()
    grow(log, 5)
    book.cosign(request(log, 0), WHEN_S)
    other = MerkleLog(tmp_path / "other", log_key, ORIGIN)
    for _ in range(9):
        other.append(b"another story")
    assert why(book, request(other, 5)) == "fork"
    same_size = MerkleLog(tmp_path / "same", log_key, ORIGIN)
    for _ in range(5):
        same_size.append(b"another story")
    assert why(book, request(same_size, 5)) == "fork"
    with pytest.raises(Refusal, match="does not continue") as caught:
        book.observe(same_size.checkpoint())
    assert caught.value.is_alarming
    grow(log, 1)
    book.cosign(request(log, 5), WHEN_S)  # the true log goes on


def test_a_log_that_was_cut_back_is_refused_and_alarming(
    log: MerkleLog, log_key: LogKey, tmp_path: Path, make_book: Callable[[], WitnessBook]
) -> None:
    book = make_book()
    grow(log, 5)
    book.cosign(request(log, 0), WHEN_S)
    shorter = MerkleLog(tmp_path / "shorter", log_key, ORIGIN)
    grow(shorter, 3)
    assert why(book, Request(3, (), shorter.checkpoint())) == "truncated"
    with pytest.raises(Refusal, match="had 5 records and now has 3"):
        book.observe(shorter.checkpoint())


def test_who_is_behind_is_told_so(log: MerkleLog, make_book: Callable[[], WitnessBook]) -> None:
    book = make_book()
    grow(log, 5)
    assert why(book, Request(2, log.consistency(2), log.checkpoint())) == "behind"
    book.cosign(request(log, 0), WHEN_S)
    grow(log, 5)
    assert why(book, request(log, 0)) == "behind"


def test_strangers_and_forgers_get_nothing(
    log: MerkleLog, tmp_path: Path, make_book: Callable[[], WitnessBook]
) -> None:
    book = make_book()
    thief = LogKey.load_or_create(tmp_path / "thief")
    forged = MerkleLog(tmp_path / "forged", thief, ORIGIN)
    grow(forged, 3)
    assert why(book, request(forged, 0)) == "unsigned"
    stranger = MerkleLog(tmp_path / "stranger", thief, "edge/plaza/box-9")
    grow(stranger, 3)
    assert why(book, request(stranger, 0)) == "unknown"
    grow(log, 3)
    told = log.checkpoint()
    altered = Note(told.text.replace("\n3\n", "\n4\n"), told.signatures)
    assert why(book, Request(0, (), altered)) == "unsigned"
    assert why(book, Request(0, (), Note("no checkpoint\n", told.signatures))) == "malformed"
    assert book.newest(ORIGIN) is None


def test_a_folder_of_another_key_is_refused(
    log: MerkleLog, tmp_path: Path, log_key: LogKey, make_book: Callable[[], WitnessBook]
) -> None:
    grow(log, 1)
    make_book().cosign(request(log, 0), WHEN_S)
    other = Ed25519PrivateKey.generate()
    with pytest.raises(EvidenceError, match=r"not cosigned by .* with the present key"):
        WitnessBook(tmp_path / "w", NAME, other, {ORIGIN: log_key.vkey(ORIGIN)})


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_request_survives_its_journey(old: int, more: int) -> None:
    hashes = tuple(bytes([n]) * 32 for n in range(old % 7))
    text = Checkpoint(ORIGIN, old + more, bytes(32)).text
    note = Note(text, (Note.from_bytes(_EXAMPLE).signatures))
    asked = Request(old, hashes, note)
    assert Request.from_bytes(asked.to_bytes()) == asked


_EXAMPLE = (
    "x\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5"
    "/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
).encode()


@given(st.binary(max_size=300))
def test_whatever_arrives_is_parsed_or_refused(data: bytes) -> None:
    for body in (data, b"old 3\n" + data, b"old 3\n\n" + data):
        try:
            asked = Request.from_bytes(body)
        except ValueError:
            continue
        assert asked.to_bytes() == body


def test_silence_is_told_once_and_ends() -> None:
    watch = Watch(silence_s=300)
    watch.expect([ORIGIN, "edge/plaza/box-2"], 0)
    assert list(watch.hear(ORIGIN, 200)) == []
    assert [alarm.origin for alarm in watch.silences(301)] == ["edge/plaza/box-2"]
    assert list(watch.silences(400)) == []
    assert [alarm.origin for alarm in watch.silences(501)] == [ORIGIN]
    over = list(watch.hear(ORIGIN, 502))
    assert [(alarm.trouble, alarm.is_over) for alarm in over] == [("silent", True)]
    assert list(watch.silences(502)) == []


GOOD = """\
name: city.example/w1
state_dir: state
mqtt: {host: localhost}
logs: [KEY]
"""


def test_the_file_says_where_it_is_wrong(tmp_path: Path, log_key: LogKey) -> None:
    path = tmp_path / "witness.yaml"
    good = GOOD.replace("KEY", str(log_key.vkey(ORIGIN)))
    path.write_text(good)
    settings = load_settings(path, WitnessSettings, "witness file", REMEDY)
    assert settings.state_dir == tmp_path / "state"
    assert settings.vkeys == {ORIGIN: log_key.vkey(ORIGIN)}
    for wrong, complaint in (
        (good.replace("box-1+", "box-2+"), r":4: .*id does not fit: mistyped"),
        (good.replace("state_dir: state\n", ""), r"state_dir"),
        (good + "silence_s: 1\n", r":5: silence_s"),
        ("", r"is no witness file; write its keys: `name:`"),
    ):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=complaint):
            load_settings(path, WitnessSettings, "witness file", REMEDY)
