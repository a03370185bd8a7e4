"""Files cut for a broker come together again, by the consumer that docs/mqtt.md shows."""

import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.uplink.parcel import CHUNK, JPEG, JPEG_START, LEAST, Parcel

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
