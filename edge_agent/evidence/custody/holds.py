"""Legal holds: what must not be deleted although its time is over, by whose word and why.

`holds/<case>.json` beside the bundles lists every hold and release of a case in order. A file
that cannot be read holds: better kept too long than deleted by mistake.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from edge_agent.clock import utc_text
from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.manifest import Words
from edge_agent.evidence.staging import cannot, make_folder, write_whole

FOLDER = "holds"


class Step(BaseModel):
    """One hold or release."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    action: Literal["hold", "release"]
    at: str
    by: Words
    reason: Words


_Steps = TypeAdapter(list[Step])


def is_held(evidence: Path, case: str) -> bool:
    """True from a hold to its release."""
    try:
        steps = _read(evidence, case)
    except EvidenceError:
        return True
    return bool(steps) and steps[-1].action == "hold"


def note(
    evidence: Path, case: str, action: Literal["hold", "release"], said: tuple[datetime, str, str]
) -> None:
    """Hold a case or release it; `said` is when, by whom and why. Raises EvidenceError."""
    now, by, reason = said
    if (action == "hold") == is_held(evidence, case):
        state = "is held already" if action == "hold" else "is not held"
        raise EvidenceError(f"case {case}: {state}")
    try:
        step = Step(action=action, at=utc_text(now), by=by, reason=reason)
    except ValidationError as error:
        raise EvidenceError("--by, --reason: expected printable text on one line") from error
    steps = [*_read(evidence, case), step]
    make_folder(evidence / FOLDER)
    text = json.dumps([each.model_dump() for each in steps], indent=2, ensure_ascii=False)
    write_whole(_path(evidence, case), text.encode() + b"\n")


def _read(evidence: Path, case: str) -> list[Step]:
    path = _path(evidence, case)
    try:
        return _Steps.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot(path, "be read", error) from error
    except ValidationError as error:
        raise EvidenceError(
            f"{path}: is no list of holds; the case stays held: restore the file, or remove it to "
            "release the case"
        ) from error


def _path(evidence: Path, case: str) -> Path:
    return evidence / FOLDER / f"{case}.json"
