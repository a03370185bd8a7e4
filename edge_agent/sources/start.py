"""The wall clock of a recording's first frame: given, or found in its name or metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Literal

StartFrom = Literal["given", "name", "metadata", "assumed"]

NAME_EXAMPLES = "2013-04-12_14_20_09.jpg, 20130412T142009Z.jpg or 2019-06-28_13-02-35.503.jpg"

ASSUMED = datetime(2000, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Of a recording; later ones would end beyond what a date can say."""

_STAMP = re.compile(
    r"""(?<!\d)((?:19|20)\d{2})[-_.]?(\d{2})[-_.]?(\d{2})
        [T_\-. ]?
        (\d{2})[-_.:]?(\d{2})[-_.:]?(\d{2})
        (?:[.,](\d{1,6})(?!\d))?
        (?!\d)(Z?)""",
    re.VERBOSE,
)
_SUFFIX = re.compile(r"\.(?:\w*[A-Za-z]\w*)$")


def stamp_in_name(name: str, timezone: tzinfo) -> datetime | None:
    """The first timestamp in a file name as UTC; local to `timezone` unless it ends in `Z`."""
    for match in _STAMP.finditer(_SUFFIX.sub("", name)):
        *fields, fraction, zulu = match.groups()
        try:
            local = datetime.fromisoformat("{}-{}-{}T{}:{}:{}".format(*fields))
        except ValueError:  # digits that are no date, e.g. a serial number
            continue
        microsecond = int((fraction or "0").ljust(6, "0"))
        return in_utc(local.replace(microsecond=microsecond), UTC if zulu else timezone)
    return None


def recording_start(
    given: datetime | None, name: str, metadata: Mapping[str, str], timezone: tzinfo
) -> tuple[datetime, StartFrom]:
    """UTC of the first frame, and which of the four places it comes from."""
    if given is not None:
        return in_utc(given, timezone), "given"
    named = stamp_in_name(name, timezone)
    if named is not None:
        return named, "name"
    try:
        created = in_utc(datetime.fromisoformat(metadata.get("creation_time", "")), UTC)
    except (ValueError, OverflowError):
        return ASSUMED, "assumed"
    is_plausible = FIRST_YEAR <= created.year <= LAST_YEAR
    return (created, "metadata") if is_plausible else (ASSUMED, "assumed")


def in_utc(moment: datetime, timezone: tzinfo) -> datetime:
    """The moment in UTC; without a zone of its own it is local to `timezone`."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone)).astimezone(UTC)
