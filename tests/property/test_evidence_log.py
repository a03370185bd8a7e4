"""The log's tree against the definitions of RFC 6962, section 2.1, read word for word."""

from collections.abc import Sequence
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.evidence.log import Checkpoint, Note, Proof, Signature
from edge_agent.evidence.log.merkle import (
    EMPTY_ROOT,
    consistency,
    inclusion,
    is_consistent,
    leaf_hash,
    node_hash,
    root,
    root_of_path,
)

MOST = 600
LEAVES = [leaf_hash(b"record %d" % index) for index in range(MOST)]


def _k(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


@cache
def mth(start: int, end: int) -> bytes:
    if end == start:
        return EMPTY_ROOT
    if end - start == 1:
        return LEAVES[start]
    middle = start + _k(end - start)
    return node_hash(mth(start, middle), mth(middle, end))


def naive_path(m: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    k = _k(end - start)
    if m < k:
        return [*naive_path(m, start, start + k), mth(start + k, end)]
    return [*naive_path(m - k, start + k, end), mth(start, start + k)]


def naive_subproof(m: int, start: int, end: int, is_whole: bool) -> list[bytes]:
    if m == end - start:
        return [] if is_whole else [mth(start, end)]
    k = _k(end - start)
    if m <= k:
        return [*naive_subproof(m, start, start + k, is_whole), mth(start + k, end)]
    return [*naive_subproof(m - k, start + k, end, False), mth(start, start + k)]


def node(level: int, index: int) -> bytes:
    return mth(index << level, (index + 1) << level)


sizes = st.integers(0, MOST)


@given(sizes)
def test_roots(size: int) -> None:
    assert root(node, 0, size) == mth(0, size)


@given(st.integers(1, MOST), st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion(node, index, size)
    assert list(path) == naive_path(index, 0, size)
    assert root_of_path(LEAVES[index], index, size, path) == mth(0, size)
    other = data.draw(st.integers(0, size - 1))
    assert (other == index) == (_leads_to(other, index, size, path) == mth(0, size))
    assert (other == index) == (_leads_to(index, other, size, path) == mth(0, size))


def _leads_to(leaf: int, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    try:
        return root_of_path(LEAVES[leaf], index, size, path)
    except ValueError:
        return None


@settings(max_examples=300)
@given(sizes, sizes, st.data())
def test_consistency(one: int, two: int, data: st.DataObject) -> None:
    old, new = sorted((one, two))
    path = consistency(node, old, new)
    before, after = (old, mth(0, old)), (new, mth(0, new))
    if old:
        assert list(path) == naive_subproof(old, 0, new, True)
    assert is_consistent(before, after, path)
    size = data.draw(sizes)
    assert is_consistent((size, mth(0, old)), after, path) == (size == old)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        broken = [*path[:at], EMPTY_ROOT, *path[at + 1 :]]
        assert not is_consistent(before, after, broken)
        assert not is_consistent(before, after, [*path[:at], *path[at + 1 :]])


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
names = st.from_regex(r"[a-z0-9./]+", fullmatch=True)
signatures = st.builds(
    Signature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)
)
checkpoints = st.builds(
    Checkpoint,
    texts,
    st.integers(0, 10**18),
    st.binary(min_size=32, max_size=32),
    st.lists(texts, max_size=2).map(tuple),
)


@given(
    checkpoints,
    st.lists(signatures, min_size=1, max_size=3).map(tuple),
    st.integers(0, 10**18),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    st.none() | st.binary(min_size=1, max_size=50),
)
def test_what_is_written_is_read(
    checkpoint: Checkpoint,
    signed: tuple[Signature, ...],
    index: int,
    path: tuple[bytes, ...],
    extra: bytes | None,
) -> None:
    proof = Proof(index, path, Note(checkpoint.text, signed), extra)
    again = Proof.from_bytes(proof.to_bytes())
    assert again == proof and again.checkpoint == checkpoint


@given(st.binary(max_size=200) | texts.map(str.encode))
def test_nonsense_is_refused_and_nothing_else_happens(data: bytes) -> None:
    for parse in (Proof.from_bytes, Note.from_bytes):
        try:
            found = parse(data)
        except ValueError:
            continue
        assert found.to_bytes() == data
