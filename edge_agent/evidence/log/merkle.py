"""The tree over the log's records: hashes, roots and proofs of RFC 6962, section 2.1.

A tree is only ever seen through a `Node`, which knows the roots of complete subtrees; where they
are kept is `tiles`'s business. Verification follows RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from edge_agent.identity import leaf_hash as leaf_hash

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""(level, index) -> root over the records [index * 2**level, (index + 1) * 2**level)."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over 2**n neighbouring roots."""
    row = hashes
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def root(node: Node, start: int, end: int) -> bytes:
    """Root over the records [start, end), as the recursion of RFC 6962 meets them."""
    size = end - start
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(root(node, start, middle), root(node, middle, end))


def inclusion(node: Node, index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of a record in the tree of that size, from its sibling up."""
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(node, middle, end))
            end = middle
        else:
            path.append(root(node, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency(node: Node, old: int, new: int) -> tuple[bytes, ...]:
    """Proof that the tree of the old size is how the one of the new size begins."""
    if old in (0, new):
        return ()
    path, start, end, is_whole = [], 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(root(node, middle, end))
            end = middle
        else:
            path.append(root(node, start, middle))
            start, is_whole = middle, False
    if not is_whole:
        path.append(root(node, start, end))
    return tuple(reversed(path))


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an audit path leads to; raises ValueError for one of another length."""
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of {size}")
    place, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ValueError("the audit path is too long")
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ValueError("the audit path is too short")
    return found


def is_consistent(old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """True when the proof shows that the new (size, root) extends the old one."""
    (old_size, old_root), (new_size, new_root) = old, new
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    steps = list(path)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    return _climb(steps, place, last) == (old_root, new_root)


def _climb(steps: Sequence[bytes], place: int, last: int) -> tuple[bytes, bytes] | None:
    """Both roots that a consistency proof leads to; None for one of the wrong length."""
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, step)
        place, last = place >> 1, last >> 1
    return (old, new) if last == 0 else None


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
