"""What facts in a manifest are made of: nothing that a terminal obeys, nothing coerced."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds what cannot be printed")
    return text


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Words = Annotated[str, AfterValidator(_printable), Field(json_schema_extra={"format": "printable"})]
"""Text that a terminal shows and does not obey."""
Utc = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        json_schema_extra={"format": "date-time"},
    ),
    AfterValidator(_moment),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
NormalisedBox = Annotated[list[float], Field(min_length=4, max_length=4)]
FileName = Annotated[str, Field(pattern=r"^[ -~]{1,200}$")]
"""Printable, so that naming a file on a terminal is all that happens."""
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Part(BaseModel):
    """Base of everything in a manifest: nothing unknown, nothing coerced, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
