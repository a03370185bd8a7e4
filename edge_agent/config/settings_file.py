"""Small settings files beside the site file: one model each, every problem with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from edge_agent.config import document
from edge_agent.config.base import Settings
from edge_agent.config.wording import plain_errors
from edge_agent.errors import ConfigError

Model = TypeVar("Model", bound=Settings)


def load_settings(path: Path, model: type[Model], what: str, remedy: str) -> Model:
    """Read and check a YAML file (UTF-8) of `what`, e.g. `witness file`, as this model.

    `remedy` is what to do about one that is no group of keys.

    Relative paths start at the file's folder, `~` is the home folder.
    Raises ConfigError with every problem, one per line: `file.yaml:12: where: what; what to do`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(document.MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; name a {what} (YAML)") from error
    found = document.parse(text)
    problems = [f"{path}:{problem.line}: {problem.text}" for problem in found.problems]
    if not problems and not isinstance(found.data, dict):
        problems = [f"{path}:1: {remedy}"]
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        return _placed(model.model_validate(found.data), path.parent.absolute())
    except ValidationError as error:
        told = sorted(
            (found.line(place), document.dotted(place), text)
            for place, text in plain_errors(error, model, found.data)
        )
        lines = (f"{path}:{line}: {place}{': ' * bool(place)}{text}" for line, place, text in told)
        raise ConfigError("\n".join(lines)) from error


def _placed(settings: Model, folder: Path) -> Model:
    """The same settings with every path absolute."""
    placed: dict[str, object] = {}
    for name, value in settings:
        if isinstance(value, Path):
            placed[name] = folder / value.expanduser()
        elif isinstance(value, Settings):
            placed[name] = _placed(value, folder)
    return settings.model_copy(update=placed)
