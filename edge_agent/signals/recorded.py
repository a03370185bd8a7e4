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

from edge_agent.config.models import Name
from edge_agent.errors import SignalError
from edge_agent.types import Signals


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
                data = path.read_bytes()
            except OSError as error:
                raise SignalError(f"{path}: cannot be read: {error.strerror}") from error
            return RecordedSignals(list(_edges(path, data)), hashlib.sha256(data).hexdigest())
    return None


def _edges(path: Path, data: bytes) -> Iterator[Edge]:
    latest_s = 0.0
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            edge = Edge.model_validate(_object(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            raise SignalError(f"{path}:{number}: {where}: {first['msg']}; {_EXAMPLE}") from error
        except ValueError as error:
            raise SignalError(f"{path}:{number}: is not a JSON object; {_EXAMPLE}") from error
        if edge.t_s < latest_s:
            raise SignalError(
                f"{path}:{number}: t_s {edge.t_s:g} lies before {latest_s:g} of the line above; "
                "put the lines in the order of time"
            )
        latest_s = edge.t_s
        yield edge


def _object(line: bytes) -> Mapping[str, object]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return {key: float(v) if key == "t_s" and type(v) is int else v for key, v in value.items()}


_EXAMPLE = 'expected lines such as {"t_s": 3.2, "phase": "main", "state": "red"}'
