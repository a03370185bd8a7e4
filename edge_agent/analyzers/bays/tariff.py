"""What standing in a bay costs: money in whole minor units, from a tariff that is data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge_agent import config
from edge_agent.types import JSON

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Tariff(config.Settings):
    """A price per hour, charged in steps.

    The first `free_s` cost nothing. What comes after is charged by the step, a begun step in full;
    the sum is rounded down to the minor unit, and no 24 hours cost more than `max_per_day`.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    """ISO 4217."""
    per_hour: Annotated[int, Field(ge=0, le=10**9)]
    """Minor units, e.g. cents or fen."""
    step_s: Annotated[int, Field(ge=1, le=86_400)] = 900
    """What is charged at once; a begun step is charged in full."""
    free_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    """So much costs nothing."""
    max_per_day: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Minor units for any 24 hours; no limit when absent."""

    def charge(self, duration_s: float) -> dict[str, JSON]:
        """The charge record for a stay of that length; exact to the millisecond."""
        charged_ms = max(0, round(duration_s * 1000) - self.free_s * 1000)
        days, rest_ms = divmod(charged_ms, DAY_MS)
        return {
            "amount_minor": days * self._price(DAY_MS) + self._price(rest_ms),
            "currency": self.currency,
            "charged_s": charged_ms / 1000,
        }

    def _price(self, within_day_ms: int) -> int:
        step_ms = self.step_s * 1000
        steps = -(-within_day_ms // step_ms)
        price = steps * step_ms * self.per_hour // HOUR_MS
        return price if self.max_per_day is None else min(price, self.max_per_day)
