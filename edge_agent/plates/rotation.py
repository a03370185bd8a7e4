"""Keys for hashing plates that change with time, so that old hashes can be made worthless.

One random key per period. While it exists, the events of a period can be joined by plate; once it
is destroyed nobody, whoever has the disk included, can find out the plates, nor join them with
those of another period. A replay uses the keys of the time that it shows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from edge_agent.errors import ConfigError
from edge_agent.plates.secrecy import PlateKey, make_key, read_key

FOLDER: Final = "plate-keys"
_SUFFIX: Final = ".key"
_DAY: Final = timedelta(days=1)


class RotatingKeys:
    """The keys in one folder; each is named after the first day (UTC) of its period."""

    def __init__(self, folder: Path, days: int) -> None:
        self._folder = folder
        self._days = days
        self._known: dict[str, PlateKey] = {}

    def at(self, moment: datetime) -> PlateKey:
        """The key of that moment's period, made on first use; raises ConfigError."""
        number = moment.astimezone(UTC).date().toordinal()
        name = date.fromordinal(number - number % self._days).isoformat()
        if name not in self._known:
            self._known[name] = PlateKey(read_key(self._path(name)), name)
        return self._known[name]

    def destroy(self, before: datetime) -> list[str]:
        """Remove the keys of periods that ended before that moment; returns their names."""
        gone = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                begin = datetime.fromisoformat(path.stem).replace(tzinfo=UTC)
            except ValueError:
                continue  # somebody else's
            if begin + self._days * _DAY <= before:
                _remove(path)
                self._known.pop(path.stem, None)
                gone.append(path.stem)
        return gone

    def _path(self, name: str) -> Path:
        path = self._folder / f"{name}{_SUFFIX}"
        if not path.exists():
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"{self._folder}: cannot be made: {error.strerror}") from error
            make_key(path)
        return path


def _remove(path: Path) -> None:
    """Overwrite, then delete; flash may keep a copy all the same, unless the disk is encrypted."""
    try:
        path.write_bytes(b"0" * path.stat().st_size)
        path.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be removed: {error.strerror}") from error
