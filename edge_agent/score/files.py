"""Truth files and event logs: read, checked, and complained about in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from edge_agent.config.document import dotted
from edge_agent.config.wording import plain_errors
from edge_agent.errors import ConfigError
from edge_agent.types import JSON

Model = TypeVar("Model", bound=BaseModel)
Seconds = Annotated[FiniteFloat, Field(ge=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
Corners = tuple[Unit, Unit, Unit, Unit]
"""xyxy, normalised."""


class _Span(BaseModel):
    """Unknown keys are errors: a typo would loosen what has to match."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin_s: Seconds
    end_s: Seconds
    camera: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _is_forward(self) -> _Span:
        if self.end_s < self.begin_s:
            raise ValueError(f"end_s {self.end_s:g} lies before begin_s {self.begin_s:g}")
        return self


class TrueEvent(_Span):
    """What really happened."""

    type: str
    box: Corners | None = None
    plate: str | None = None
    zone: str | None = None
    line: str | None = None
    direction: str | None = None


class Ignored(_Span):
    """A span of footage whose reports count neither way; those of one type only, if named."""

    type: str | None = None


class Truth(BaseModel):
    """A truth file; keys beside these are notes."""

    model_config = ConfigDict(frozen=True)

    events: tuple[TrueEvent, ...]
    ignore: tuple[Ignored, ...] = ()
    types: tuple[str, ...] | None = None
    """The event types that the file speaks about; reports of other types are left out."""
    fps: Annotated[FiniteFloat, Field(gt=0)] | None = None
    frames: Annotated[int, Field(gt=0)] | None = None
    duration_s: Annotated[FiniteFloat, Field(gt=0)] | None = None
    cameras: Annotated[int, Field(gt=0)] | None = None


class _Time(BaseModel):
    pts_s: FiniteFloat


class _Source(BaseModel):
    camera: str


class _Object(BaseModel):
    cls: str | None = None
    box: Corners | None = None


class EnvelopeData(BaseModel):
    """What scoring needs to know of an envelope's `data`."""

    phase: str = "end"
    time: _Time
    source: _Source
    begin_s: FiniteFloat | None = None
    end_s: FiniteFloat | None = None
    """When it ended, where that is earlier than the envelope that says so."""
    object: _Object = _Object()
    zone: str | None = None
    line: str | None = None
    direction: str | None = None
    evidential: bool = False
    reasons: tuple[str, ...] = ()


class Envelope(BaseModel):
    """What scoring needs to know of an event envelope."""

    type: Annotated[str, Field(pattern=r"^edge\..+\.v\d+$")]
    subject: str
    data: EnvelopeData

    @property
    def kind(self) -> str:
        """`edge.parking.illegal.v1` -> `parking.illegal`."""
        return self.type.removeprefix("edge.").rpartition(".")[0]


def load_events(path: Path) -> Iterator[dict[str, JSON]]:
    """The envelopes of an `events.jsonl`; ConfigError names the line that is none."""
    for number, line in enumerate(_read(path).split("\n"), 1):
        if line.strip():
            yield _json_object(line, f"{path}:{number}")


def load_truth(path: Path) -> dict[str, JSON]:
    """The content of a truth file; ConfigError names every mistake in it."""
    truth = _json_object(_read(path), str(path))
    checked_truth(truth, str(path))
    return truth


def checked_truth(truth: Mapping[str, JSON], where: str = "truth") -> Truth:
    """The truth as a model; `where` starts every line of the ConfigError."""
    return _checked(Truth, truth, where)


def checked_envelope(event: Mapping[str, JSON], where: str) -> Envelope:
    """The envelope as a model; `where` starts every line of the ConfigError."""
    return _checked(Envelope, event, f"{where} is not an event envelope")


def _checked(model: type[Model], value: Mapping[str, JSON], where: str) -> Model:
    data: dict[str, Any] = dict(value)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = plain_errors(error, model, data)
        lines = [f"{where}: {dotted(path)}: {text}" for path, text in problems]
        raise ConfigError("\n".join(lines)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; name a JSON file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _json_object(text: str, where: str) -> dict[str, JSON]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text else ""
        raise ConfigError(
            f"{where}: is not JSON ({error.msg}: {line}column {error.colno}); "
            "the file is damaged or cut off: write it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: is not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a JSON object {{...}}")
    return value
