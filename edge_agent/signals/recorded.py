"""Signal phases recorded with the footage: `signals.jsonl` beside the clip.

One line per change, in order: `{"t_s": 3.2, "phase": "main", "state": "red"}`; `t_s` is media time
of the clip. Before a phase's first line nothing is known about it.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.config.document import dotted
from edge_agent.config.models import Name
from edge_agent.config.wording import plain_errors
from edge_agent.errors import SignalError
from edge_agent.types import Signals

MOST_BYTES = 64 * 1024 * 1024
MOST_PHASES = 255
"""As many as a controller's protocol can number (NTCIP 1202)."""


class Edge(BaseModel):
    """One phase changes its state."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    t_s: Annotated[float, Field(ge=0)]
    phase: Name
    state: Literal["red", "amber", "green", "dark", "conflict"]


class RecordedSignals:
    """The state of every phase at any media time of one clip."""

    def __init__(self, edges: Sequence[Edge], sha256: str | None = None) -> None:
        self.sha256 = sha256
        self.phases: Mapping[str, float] = {edge.phase: edge.t_s for edge in reversed(edges)}
        """Phase -> media time from which on something is known of it."""
        self._times: list[float] = []
        self._states: list[Signals] = [MappingProxyType({})]
        known: dict[str, str] = {}
        for edge in edges:
            known = {**known, edge.phase: edge.state}
            self._times.append(edge.t_s)
            self._states.append(MappingProxyType(known))

    def at(self, t_s: float) -> Signals:
        """Phase -> state at that media time; a change counts from its own time on."""
        return self._states[bisect_right(self._times, t_s)]


def open_recorded(clip: Path) -> RecordedSignals | None:
    """The signals recorded with a clip, or None when there are none.

    `street.mp4` has `street.signals.jsonl` or else `signals.jsonl` in the same folder; a folder of
    stills has it inside. Raises SignalError for a line that is not what it should be.
    """
    folder = clip if clip.is_dir() else clip.parent
    for path in (folder / f"{clip.stem}.signals.jsonl", folder / "signals.jsonl"):
        if path.is_file():
            try:
                with path.open("rb") as file:
                    data = file.read(MOST_BYTES + 1)
            except OSError as error:
                raise SignalError(f"{path}: cannot be read: {error.strerror}") from error
            if len(data) > MOST_BYTES:
                raise SignalError(
                    f"{path}: is larger than {MOST_BYTES >> 20} MiB; {_EXAMPLE}, one per change"
                )
            return RecordedSignals(list(_edges(path, data)), hashlib.sha256(data).hexdigest())
    return None


def _edges(path: Path, data: bytes) -> Iterator[Edge]:
    latest_s, phases = 0.0, set[str]()
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        edge = _edge(line, f"{path}:{number}")
        phases.add(edge.phase)
        if edge.t_s < latest_s:
            raise SignalError(
                f"{path}:{number}: t_s {edge.t_s:g} lies before {latest_s:g} of the line above; "
                "put the lines in the order of time"
            )
        if len(phases) > MOST_PHASES:
            raise SignalError(
                f"{path}:{number}: `{edge.phase}` is one phase more than {MOST_PHASES}, and no "
                "controller has so many; name a phase the same in all of its lines"
            )
        latest_s = edge.t_s
        yield edge


def _edge(line: bytes, where: str) -> Edge:
    try:
        value = json.loads(line, object_pairs_hook=_object, parse_int=float)
    except (ValueError, RecursionError) as error:
        what = "is not a JSON object, or one that holds a key twice"
        raise SignalError(f"{where}: {what}; {_EXAMPLE}") from error
    if not isinstance(value, dict):
        raise SignalError(f"{where}: is not a JSON object; {_EXAMPLE}")
    try:
        return Edge.model_validate(value)
    except ValidationError as error:
        problems = (f"{dotted(path)}: {text}" for path, text in plain_errors(error, Edge, value))
        raise SignalError(f"{where}: {'; '.join(problems)}; {_EXAMPLE}") from error


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):  # nobody knows which of the two is meant
        raise ValueError("a key twice")
    return value


_EXAMPLE = 'expected lines such as {"t_s": 3.2, "phase": "main", "state": "red"}'
