"""Files cut for a broker come together again, by the consumer that docs/mqtt.md shows."""

import hashlib
import json
import random
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.uplink.parcel import CHUNK, JPEG, JPEG_START, LEAST, NothingToSend, Parcel

TEXT = Path(__file__).parents[2].joinpath("docs", "mqtt.md").read_text("utf-8")
(CONSUMER,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def consumer() -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(CONSUMER, found)
    return found


def parcel(data: bytes, role: str = "wide") -> Parcel:
    sha256 = hashlib.sha256(data).hexdigest()
    return Parcel(role, f"derived/{role}-redacted.jpg", data, sha256, "b" * 64, None)


@given(
    size=st.integers(0, 60_000),
    limit=st.integers(LEAST, 20_000),
    start=st.sampled_from([JPEG_START, b"{", b"age-encryption.org/v1\n", b""]),
    seed=st.integers(0, 2**32),
)
def test_cut_and_put_together(size: int, limit: int, start: bytes, seed: int) -> None:
    chance = random.Random(seed)
    data = start + chance.randbytes(size)
    messages = parcel(data).cut(limit)
    assert all(len(body) <= limit for body, _ in messages)
    is_itself = start == JPEG_START and len(data) <= limit
    assert {kind for _, kind in messages} == {JPEG if is_itself else CHUNK}
    assert is_itself == (messages == [(data, JPEG)])
    late = chance.sample(messages, len(messages))  # in any order, some of them twice
    twice = chance.sample(messages, chance.randrange(len(messages)))
    whole, got = consumer()["whole"], []
    for body, _ in [*twice, *late]:
        got.append(whole("t", body))
    assert data in got
    assert all(found in (None, data) for found in got)


@given(st.integers(20_000, 60_000), st.integers(0, 2**32))
def test_parts_of_two_files_and_of_two_cuts_are_never_mixed(size: int, seed: int) -> None:
    """A photo that begins anew after a restart, perhaps for a broker with another limit."""
    chance = random.Random(seed)
    one, two = parcel(chance.randbytes(size)), parcel(chance.randbytes(size))
    mixed = [body for each in (one, two) for limit in (2048, 16384) for body, _ in each.cut(limit)]
    chance.shuffle(mixed)
    whole = consumer()["whole"]
    got = [found for body in mixed if (found := whole("t", body)) is not None]
    assert sorted(got) == sorted([one.data, one.data, two.data, two.data])


def test_the_line_says_what_it_is() -> None:
    body, _ = parcel(b"x" * 3000).cut(2048)[1]
    head = json.loads(body.partition(b"\n")[0])
    assert head["role"] == "wide" and head["content_type"] == "image/jpeg"
    assert (head["index"], head["count"], head["bytes"]) == (1, 2, 3000)


def bundle_of(path: Path, delete_after: str | None) -> bytes:
    facts = {
        "case": {"id": "c"},
        "derived": [
            {"path": "derived/wide-redacted.jpg", "sha256": hashlib.sha256(b"x").hexdigest()}
        ],
        "privacy": {"delete_after": delete_after},
    }
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("manifest.json", json.dumps(facts))
        made.writestr("derived/wide-redacted.jpg", b"x")
    return path.read_bytes()


@given(st.data())
def test_a_damaged_bundle_never_will_be_sent(data: st.DataObject) -> None:
    """Whatever a byte was turned into: no other error, which would be tried again for ever."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "c.evb")
        whole = bytearray(bundle_of(path, None))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(whole) - 1))
            whole[at] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(whole))
        with suppress(NothingToSend):
            assert Parcel.read(path, "wide", originals=False).data == b"x"


@pytest.mark.parametrize("field", ["offset of the directory", "time without a zone"])
def test_damage_that_looks_like_something_else(tmp_path: Path, field: str) -> None:
    path = tmp_path / "c.evb"
    if field == "time without a zone":
        bundle_of(path, "2026-05-21T09:49:12")
    else:
        whole = bytearray(bundle_of(path, None))
        end = whole.rindex(b"PK\x05\x06")
        whole[end + 16 : end + 20] = b"\xff\xff\xff\x7f"
        path.write_bytes(bytes(whole))
    with pytest.raises(NothingToSend, match="damaged"):
        Parcel.read(path, "wide", originals=False)
