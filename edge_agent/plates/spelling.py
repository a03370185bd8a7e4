"""One way to write a plate, whatever people and machines write."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SEPARATORS: Final = re.compile(r"[\s.\-_·•|/]+")
_PLATE: Final = re.compile(r"[0-9A-Z㐀-鿿]{2,12}")


def spelled(text: str) -> str | None:
    """Upper case, without blanks, dashes, dots and accents; None when that is no plate.

    Umlauts lose their dots because plates are read without them.
    """
    plain = unicodedata.normalize("NFKD", text).upper()
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    joined = _SEPARATORS.sub("", bare)
    return joined if _PLATE.fullmatch(joined) else None
