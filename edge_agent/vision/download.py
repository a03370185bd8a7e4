"""Fetching weights from the address in their card: resumed, verified, whole or not at all."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from edge_agent.errors import ModelError, ModelUnreachable
from edge_agent.vision.cards import Card, file_sha256, find_card, find_weights

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""

_TROUBLES = (
    *(urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError),
    ValueError,  # an address that urllib cannot take apart
)
_LATER = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server that may say something else in a while."""
TIMEOUT_S = 30.0
CHUNK = 1 << 16


def pull(name: str, paths: Sequence[Path], cache: Path, progress: Progress | None = None) -> Path:
    """The weight file of a model, downloaded into `cache` unless a good one is already there.

    A download that breaks off leaves `FILE.part`, which the next call continues. ModelError names
    the address and what happened; it is a ModelUnreachable where trying again may help.
    """
    card = find_card(name, paths)
    try:
        return find_weights(card, [*paths, cache])
    except ModelError:
        if card.source is None:
            raise
    target = cache / card.file
    part = cache / f"{card.file}.part"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _fetch(card, part, progress or _ignore)
        _verify(card, part)
        part.replace(target)
    except OSError as error:
        raise ModelError(
            f"model {name!r}: cannot write to {cache}: {error.strerror or error}"
        ) from error
    return target


def _ignore(_done: int, _total: int) -> None:
    pass


def _fetch(card: Card, part: Path, progress: Progress) -> None:
    """Bring the part file to its full length."""
    have = part.stat().st_size if part.exists() else 0
    if have > card.bytes:
        part.unlink()
        have = 0
    if have == card.bytes:
        return
    try:
        with _open(card, have) as response:
            resumed = response.status == 206 and _starts_at(response, have)
            with part.open("ab" if resumed else "wb") as file:
                _copy(card, response, file, progress)
    except _TROUBLES as err:
        raise _failure(card, part, err) from err
    size = part.stat().st_size
    if size < card.bytes:
        raise ModelUnreachable(
            f"model {card.name!r}: {card.source} broke off after {size} of {card.bytes} bytes; run "
            f"`edge-agent models pull {card.name}` again to continue"
        )


def _open(card: Card, have: int) -> http.client.HTTPResponse:
    """The response from `have` on, or from the start where the server cannot do that."""
    assert card.source is not None
    headers = {"User-Agent": "edge-agent", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(card.source, headers=headers), timeout=TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            error.close()
            return _open(card, 0)
        raise
    return response


def _starts_at(response: http.client.HTTPResponse, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _copy(
    card: Card, response: http.client.HTTPResponse, file: BinaryIO, progress: Progress
) -> None:
    done = file.tell()
    progress(done, card.bytes)
    while block := response.read(CHUNK):
        file.write(block)
        done += len(block)
        if done > card.bytes:  # not the file of the card; do not fill the disk with it
            break
        progress(done, card.bytes)
    file.flush()
    os.fsync(file.fileno())


def _verify(card: Card, part: Path) -> None:
    found = file_sha256(part)
    if found == card.sha256:
        return
    size = part.stat().st_size
    part.unlink()
    raise ModelError(
        f"model {card.name!r}: {card.source} delivered another file: expected {card.bytes} bytes "
        f"with sha256 {card.sha256}, got {size} bytes with {found}; it was deleted. If the source "
        "has moved on, correct the card"
    )


def _failure(card: Card, part: Path, error: Exception) -> ModelError:
    if isinstance(error, urllib.error.HTTPError):
        what = f"answered {error.code} {error.reason}"
    elif isinstance(error, urllib.error.URLError):
        what = f"cannot be reached ({getattr(error.reason, 'strerror', None) or error.reason})"
    else:
        what = f"broke off ({error or type(error).__name__})"
    kept = part.stat().st_size if part.exists() else 0
    is_answer = isinstance(error, urllib.error.HTTPError) and error.code not in _LATER
    is_final = is_answer or isinstance(error, ValueError | http.client.InvalidURL)
    return (ModelError if is_final else ModelUnreachable)(
        f"model {card.name!r}: {card.source} {what}; {kept} of {card.bytes} bytes are kept. Check "
        f"the network and run `edge-agent models pull {card.name}` again, or fetch {card.file} "
        f"elsewhere and put it into {part.parent}"
    )
