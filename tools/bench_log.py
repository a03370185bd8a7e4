#!/usr/bin/env python3
"""Measures the transparency log: appending, signing, proving, verifying, disk and memory.

  python tools/bench_log.py                      # a million entries, about two minutes
  python tools/bench_log.py --entries 10000 --folder /media/card/log

Prints the rows of the table in docs/log.md. `--folder` chooses the disk; it must not exist.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.evidence.log import LogKey, MerkleLog, Proof
from edge_agent.evidence.log.audit import LogAudit
from edge_agent.evidence.log.merkle import is_consistent

ORIGIN = "edge/plaza/box-1"
KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
RECORD_BYTES = 1200
"""About what an event's envelope has."""
BETWEEN = 100
"""Entries from one checkpoint to the next, where checkpoints are measured."""
SAMPLES = 1000


def record(index: int) -> bytes:
    return b"%0*d" % (RECORD_BYTES, index)


def timed(work: Callable[[int], object], arguments: list[int]) -> str:
    """p50 and p99 of one call, in ms."""
    spent_ms = []
    for argument in arguments:
        begun = time.perf_counter()
        work(argument)
        spent_ms.append(1000 * (time.perf_counter() - begun))
    p99 = statistics.quantiles(spent_ms, n=100)[98]
    return f"{statistics.median(spent_ms):.2f} | {p99:.2f}"


def grow(log: MerkleLog, size: int) -> float:
    """Append up to that size with a checkpoint now and then; returns µs per append alone."""
    spent_s = 0.0
    while log.size < size:
        records = [record(index) for index in range(log.size, min(size, log.size + 1000))]
        begun = time.perf_counter()
        for each in records:
            log.append(each)
        spent_s += time.perf_counter() - begun
        if log.size % 10_000 == 0 or log.size == size:
            log.checkpoint()
    return 1e6 * spent_s / size


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def disk(folder: Path) -> tuple[int, int, int]:
    """Files, bytes in them, and bytes that the disk gives up for them."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return len(stats), sum(s.st_size for s in stats), sum(512 * s.st_blocks for s in stats)


@contextmanager
def chosen(folder: Path | None) -> Iterator[Path]:
    path = folder or Path(tempfile.mkdtemp(prefix="bench-log-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def rows(folder: Path, size: int) -> Iterator[str]:
    """The table, row by row: what, p50, p99."""
    at_start_mib = memory_mib()
    log = MerkleLog(folder, KEY, ORIGIN)
    per_append_us = grow(log, size)
    grown_mib = memory_mib() - at_start_mib
    yield f"append an entry, ms (mean) | {per_append_us / 1000:.4f} |"

    def checkpoint(_: int) -> None:
        for _ in range(BETWEEN):
            log.append(record(log.size))
        log.checkpoint()

    yield f"checkpoint after {BETWEEN} entries, ms | {timed(checkpoint, [*range(100)])}"
    chance = random.Random(1)
    indexes = [chance.randrange(size) for _ in range(SAMPLES)]
    yield f"inclusion proof, ms | {timed(log.prove, indexes)}"
    proofs = {index: log.prove(index).to_bytes() for index in indexes}

    def verify(index: int) -> None:
        proof = Proof.from_bytes(proofs[index])
        assert proof.flaw(record(index)) is None and proof.note.signed_by(log.vkey)

    yield f"verify it, signature included, ms | {timed(verify, indexes)}"
    yield f"its size, bytes | {statistics.median(map(len, proofs.values())):.0f} |"
    yield f"consistency proof, ms | {timed(log.consistency, indexes)}"
    new = (log.size, log.root())
    steps = {old: (log.root(old), log.consistency(old)) for old in indexes}

    def extends(old: int) -> None:
        assert is_consistent((old, steps[old][0]), new, steps[old][1])

    yield f"verify it, ms | {timed(extends, indexes)}"
    yield f"open the log, ms | {timed(lambda _: MerkleLog(folder, KEY, ORIGIN), [*range(20)])}"
    begun = time.perf_counter()
    assert list(LogAudit.open(folder).tree_flaws()) == []
    yield f"compute every hash again, s | {time.perf_counter() - begun:.1f} |"
    files, told, taken = disk(folder)
    yield f"on the disk, MiB in {files} files | {told / 2**20:.1f} ({taken / 2**20:.1f} taken) |"
    yield f"memory while growing, MiB | {grown_mib:.1f} |"
    log.prune(log.size)
    files, told, _ = disk(folder)
    yield f"on the disk once pruned, KiB in {files} files | {told / 1024:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="Where to write; must not exist.")
    chosen_by = parser.parse_args()
    if chosen_by.folder is not None and chosen_by.folder.exists():
        parser.error(f"{chosen_by.folder} exists")
    with chosen(chosen_by.folder) as folder:
        for row in rows(folder, chosen_by.entries):
            sys.stdout.write(f"| {row} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
