"""Weekly hours in local time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from edge_agent.config import Settings

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _spell_out(value: object) -> object:
    """`mon-fri` and `sat` beside lists of day names; `fri-mon` goes round the weekend."""
    if not isinstance(value, str):
        return value
    first, dash, last = value.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError("write days as mon-fri, sat or [mon, wed, fri]")
    start = DAYS.index(first)
    count = (DAYS.index(last or first) - start) % 7 + 1
    return [DAYS[(start + i) % 7] for i in range(count)]


def _parse_clock_time(value: object) -> object:
    if isinstance(value, time):
        return value
    try:
        hours, minutes = str(value).split(":")
        return time(0, 0) if value == "24:00" else time(int(hours), int(minutes))
    except ValueError as error:
        raise ValueError('write a time of day as "07:30"') from error


ClockTime = Annotated[time, BeforeValidator(_parse_clock_time)]


class Hours(Settings):
    """A span of local time on some weekdays; `to` at or before `from` ends on the next day."""

    days: Annotated[tuple[Day, ...], BeforeValidator(_spell_out), Field(min_length=1)] = DAYS  # type: ignore[assignment]
    """`mon-fri`, `sat` or `[mon, wed, fri]`; every day when absent."""
    start: Annotated[ClockTime, Field(alias="from")] = time(0, 0)
    """Local time such as `"07:00"`."""
    end: Annotated[ClockTime, Field(alias="to")] = time(0, 0)
    """`"24:00"` is the end of the day."""

    def covers(self, local: datetime) -> bool:
        """True when the local time lies inside the span (start included, end excluded)."""
        now = local.time().replace(tzinfo=None)
        if self.start < self.end:
            return self._on(local) and self.start <= now < self.end
        if now >= self.start:
            return self._on(local)
        return now < self.end and self._on(local - timedelta(days=1))

    def _on(self, local: datetime) -> bool:
        return DAYS[local.weekday()] in self.days


def is_active(hours: Sequence[Hours], wall: datetime, timezone: ZoneInfo) -> bool:
    """True when any of the spans covers that moment, or when there are none: always."""
    if not hours:
        return True
    local = wall.astimezone(timezone)
    return any(span.covers(local) for span in hours)


class Schedule:
    """The hours of one rule, worked out once a minute: spans begin and end with whole minutes."""

    def __init__(self, hours: Sequence[Hours], timezone: ZoneInfo) -> None:
        self._hours, self._timezone = hours, timezone
        self._minute: datetime | None = None
        self._is_active = not hours

    def is_active(self, wall: datetime) -> bool:
        """True when the rule holds at that moment (UTC)."""
        if self._hours:
            minute = wall.replace(second=0, microsecond=0)
            if minute != self._minute:
                self._minute = minute
                self._is_active = is_active(self._hours, minute, self._timezone)
        return self._is_active
