"""Lists of plates as data, and whether a plate stands in one of them.

Only a whole, exact match counts. A plate that is merely similar to a listed one is another
vehicle: whoever opens gates to look-alikes opens them to strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from edge_agent.plates.secrecy import hashed

Meaning = Literal["allow", "deny", "permit"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a list."""

    plate: str
    """As `spelled`, or its hash."""
    valid_from: datetime | None = None
    """Local time of the site, without a zone."""
    valid_until: datetime | None = None
    """The first moment at which it no longer holds."""
    note: str = ""

    def holds(self, local: datetime) -> bool:
        """True at that local time."""
        is_begun = self.valid_from is None or self.valid_from <= local
        return is_begun and (self.valid_until is None or local < self.valid_until)


@dataclass(frozen=True, slots=True)
class PlateList:
    """Plates that have one meaning together."""

    name: str
    meaning: Meaning
    entries: Mapping[str, Sequence[Entry]]
    """By plate or hash; a permit that was renewed has several rows."""

    @classmethod
    def of(cls, name: str, meaning: Meaning, entries: Iterable[Entry]) -> PlateList:
        """The list with these rows."""
        rows: dict[str, list[Entry]] = {}
        for entry in entries:
            rows.setdefault(entry.plate, []).append(entry)
        return cls(name, meaning, rows)

    def has(self, plate: str, local: datetime) -> bool:
        """True when a row for exactly this plate or hash holds at that time."""
        return any(entry.holds(local) for entry in self.entries.get(plate, ()))


@dataclass(frozen=True, slots=True)
class PlateBook:
    """Every list of a site, and what privacy asks for."""

    lists: tuple[PlateList, ...] = ()
    key: bytes | None = field(default=None, repr=False)
    """What hashes are made with; None where all lists hold plain plates."""

    def find(self, text: str, at: datetime, names: Iterable[str]) -> PlateList | None:
        """The list that decides about a plate: any that denies it, else the first of `names`.

        `at` is local time of the site; lists that deny need not be named.
        """
        local = at.replace(tzinfo=None)
        keys = [text] if self.key is None else [text, hashed(text, self.key)]
        known = {each.name: each for each in self.lists}
        denying = [each for each in self.lists if each.meaning == "deny"]
        asked = [*denying, *(known[name] for name in names)]
        return next((each for each in asked if any(each.has(key, local) for key in keys)), None)
