"""Whether a bundle is in the log that it names, judged offline from its own files."""

from __future__ import annotations

import json
from collections.abc import Iterator

from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import Note, Proof, Vkey
from edge_agent.text import printable

PROOF, DEVICE = "proof.tlog-proof", "device.json"

Flaw = tuple[str, str, str]
"""Kind of failure, the file that it is about, and what is wrong."""


def log_flaws(
    manifest: Manifest, text: bytes, proof: bytes | None, device: bytes
) -> Iterator[Flaw]:
    """What is wrong with the leaf, with its inclusion, and with the checkpoint above it.

    `text` is the manifest as it was signed, `device` the signed `device.json`, which names the
    key that signs the log. A manifest without a place in a log, as older versions wrote it, has
    no such flaws and no such proof.
    """
    place = manifest.log
    if place is None:
        return
    if proof is None:
        yield "missing", PROOF, "is missing: it would prove that the bundle is in the log"
        return
    try:
        found = Proof.from_bytes(proof)
        told = found.checkpoint
    except ValueError as error:
        yield "inclusion", PROOF, printable(str(error))
        return
    if (told.origin, found.index) != (place.origin, place.index):
        whose = printable(f"entry {found.index} of {told.origin}")
        yield "leaf", PROOF, f"is for {whose}; this is entry {place.index} of {place.origin}"
    elif flaw := found.flaw(text):
        yield "inclusion", PROOF, f"the bundle is not in the log: {flaw}"
    yield from _checkpoint(found.note, told.origin, device)


def _checkpoint(note: Note, origin: str, device: bytes) -> Iterator[Flaw]:
    try:
        key = Vkey.parse(json.loads(device)["log"]["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        yield "checkpoint", DEVICE, "does not name the key that signs the log"
        return
    if key.name != origin:
        yield "checkpoint", DEVICE, "names the key of another log than the checkpoint's"
        return
    try:
        signature = note.signed_by(key)
    except ValueError as error:
        yield "checkpoint", PROOF, printable(str(error))
        return
    if signature is None:
        yield "checkpoint", PROOF, "the checkpoint is not signed by the device's log"
