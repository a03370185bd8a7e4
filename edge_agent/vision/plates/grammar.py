"""What the number plates of a region may say, and what that decides between look-alikes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import product
from operator import contains
from string import ascii_uppercase, digits
from typing import Any

import yaml

Pattern = tuple[frozenset[str], ...]
"""Per position the characters that may stand there."""

ALIKE: Mapping[str, str] = {
    **{"0": "ODQ", "O": "0", "D": "0", "Q": "0", "1": "IL", "I": "1", "L": "1"},
    **{"2": "Z", "Z": "2", "5": "S", "S": "5", "6": "G", "G": "6", "8": "B", "B": "8"},
}
"""Letters and digits that plate typefaces draw almost alike."""

SAME: Mapping[str, str] = {"0": "O", "O": "0", "1": "I", "I": "1"}
"""Those that many typefaces draw the same: they yield even where a personal plate would fit."""

EUROPE = (
    *("at", "be", "bg", "ch", "cz", "de", "dk", "ee", "es", "fi", "fr", "gb", "gr", "hr"),
    *("hu", "ie", "it", "lt", "lu", "lv", "nl", "no", "pl", "pt", "ro", "se", "si", "sk"),
)
"""Whose plates `eu` stands for: the road network's countries rather than the union's."""

_TOKEN = re.compile(r"\[(?P<set>[^]]+)]|\((?P<codes>[^)]+)\)|(?P<one>.)")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d+))?}|(\?)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a grammar makes of a text."""

    text: str
    """As read, or with look-alikes put right."""
    region: str | None
    """As it was asked for; None where the text fits nothing."""
    is_series: bool = False
    """It belongs to a series that the region issues."""


@dataclass(frozen=True)
class Grammar:
    """The plates of one region."""

    region: str
    series: tuple[Pattern, ...]
    others: tuple[Pattern, ...] = ()

    def fits(self, text: str) -> bool:
        """The text may stand on a plate of this region."""
        return self.is_series(text) or any(_matches(text, pattern) for pattern in self.others)

    def is_series(self, text: str) -> bool:
        """The text belongs to a series that the region issues."""
        return any(_matches(text, pattern) for pattern in self.series)

    def corrections(self, text: str) -> Iterator[str]:
        """Texts of the region's series that differ in look-alikes only."""
        alike = SAME if self.fits(text) else ALIKE
        for pattern in self.series:
            if len(pattern) == len(text):
                options = [_options(*pair, alike) for pair in zip(text, pattern, strict=True)]
                yield from ("".join(chars) for chars in product(*options))


def judge(text: str, grammars: Sequence[Grammar]) -> Verdict:
    """Put look-alikes right where the grammars leave one way to do so; else the text stays.

    A text that a series explains is never changed; no character is ever added or dropped.
    """
    for grammar in grammars:
        if grammar.is_series(text):
            return Verdict(text, grammar.region, is_series=True)
    nearest = _nearest(text, dict.fromkeys(c for g in grammars for c in g.corrections(text)))
    if len(nearest) == 1:
        region = next(g.region for g in grammars if g.is_series(nearest[0]))
        return Verdict(nearest[0], region, is_series=True)
    return Verdict(text, next((g.region for g in grammars if g.fits(text)), None))


def _nearest(text: str, candidates: Iterable[str]) -> list[str]:
    """Those of the candidates that differ from the text in the fewest characters."""
    distance = {c: sum(a != b for a, b in zip(text, c, strict=True)) for c in candidates}
    return [c for c, d in distance.items() if d == min(distance.values())]


def _options(char: str, allowed: frozenset[str], alike: Mapping[str, str]) -> list[str]:
    if char in allowed:
        return [char]
    return [other for other in alike.get(char, "") if other in allowed]


def _matches(text: str, pattern: Pattern) -> bool:
    return len(text) == len(pattern) and all(map(contains, pattern, text))


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    file = resources.files(__package__).joinpath("grammars.yaml")
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


@lru_cache(maxsize=32)
def load_grammar(region: str) -> Grammar:
    """The grammar of a region, `eu` being all of Europe; KeyError for an unknown one."""
    countries = EUROPE if region == "eu" else (region,)
    found: dict[str, dict[Pattern, None]] = {"plates": {}, "others": {}}
    for rules in (rules for country in countries for rules in _data()[country]):
        letters = rules.get("letters", ascii_uppercase)
        for kind, patterns in found.items():
            for text in rules.get(kind, ()):
                patterns.update(dict.fromkeys(expand(text, letters)))
    return Grammar(region, tuple(found["plates"]), tuple(found["others"]))


def expand(text: str, letters: str = ascii_uppercase) -> Iterator[Pattern]:
    """Every sequence of character sets that a pattern stands for (grammars.yaml says how)."""
    parts: list[list[Pattern]] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None
        repeat = _REPEAT.match(text, token.end())
        parts.append(list(_repeated(_variants(token, letters), repeat)))
        at = (repeat or token).end()
    for chosen in product(*parts):
        yield tuple(chars for part in chosen for chars in part)


def _variants(token: re.Match[str], letters: str) -> list[Pattern]:
    if token["set"]:
        return [(frozenset(token["set"]),)]
    if token["codes"]:
        return [tuple(frozenset(char) for char in code) for code in token["codes"].split("|")]
    named = {"A": letters, "9": digits, "X": letters + digits}
    return [(frozenset(named.get(token["one"], token["one"])),)]


def _repeated(variants: list[Pattern], repeat: re.Match[str] | None) -> Iterator[Pattern]:
    if repeat is None:
        least, most = 1, 1
    elif repeat[3]:
        least, most = 0, 1
    else:
        least, most = int(repeat[1]), int(repeat[2] or repeat[1])
    for count in range(least, most + 1):
        for chosen in product(variants, repeat=count):
            yield tuple(chars for part in chosen for chars in part)
