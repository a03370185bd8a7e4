"""YAML text -> plain data plus the line of every value.

Read by the core rules of YAML 1.2, because YAML 1.1 guesses: `on`, `off`, `yes` and `no` are text
here, `07:00` is text (1.1 makes the number 420 of it), `010` is text and never eight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from edge_agent.types import JSON

Path = tuple[str | int, ...]
"""Keys and list positions that lead from the root to a value."""

MAX_BYTES: Final = 512 * 1024
MAX_VALUES: Final = 20_000
"""Values after aliases are written out: a few lines of YAML can otherwise mean billions."""
MAX_DEPTH: Final = 30

_TAG: Final = "tag:yaml.org,2002:"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN_WORDS: Final = (
    ("'\\t'", "a tab is used as indentation; use spaces"),
    ("mapping values are not allowed", "a `:` stands where none may be; check the indentation, "
     "and put text that contains `: ` into quotes"),
    ("could not find expected ':'", "a `:` is missing after a key"),
    ("but found '<block mapping start>'", "the indentation does not match the lines above"),
    ("expected <block end>", "the indentation does not match the lines above"),
    ("did not find expected", "the text ends too early, or a bracket or quote is not closed"),
    ("found unexpected end of stream", "a quote is not closed"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing"),
    ("undefined alias", "an alias `*name` is used before its `&name`"),
    ("found duplicate anchor", "the same anchor `&name` is given twice"),
    ("expected a single document", "a second document starts here; remove the `---`"),
    ("cannot start any token", "this character needs quotes around the text"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file."""

    line: int
    text: str


@dataclass(slots=True)
class Document:
    """What a YAML file says, and where."""

    data: JSON = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Line of the value, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: Path) -> str:
    """`cameras.north.rules[0].dwell_s`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in path)
    return text.removeprefix(".")


def cut(text: str, limit: int = 40) -> str:
    """At most `limit` characters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def parse(text: str) -> Document:
    """Read one YAML document; a text that is no YAML at all gives one problem and no data."""
    document = Document()
    try:
        root = _Loader(text).get_single_node()
        document.data = None if root is None else _Composer(document).value(root, (), 1)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems = [Problem(line, f"the character {error.character!r} may not be used")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems = [Problem(mark.line + 1 if mark else 1, _in_plain_words(error))]
    except (ValueError, OverflowError):
        # PyYAML hands absurd escapes ("\UFFFFFFFF") and version numbers to chr() and int().
        document.problems = [Problem(1, "this is not valid YAML")]
    return document


class _TooMuch(yaml.MarkedYAMLError):
    """Valid YAML, but more than any site file says."""


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, _TooMuch):
        return str(error.problem)
    said = f"{error.context or ''} {error.problem or ''}".strip()
    for pattern, words in _PLAIN_WORDS:
        if pattern in said:
            return words
    return f"this is not valid YAML: {cut(said, 120)}"


class _Loader(yaml.SafeLoader):
    """Composes nodes only; plain scalars resolve as in the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own class attribute)
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _TooMuch(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _kind, _pattern in (
    ("null", r"~|null|Null|NULL|"),
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?(0|[1-9][0-9]*)"),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
    ("float", r"(?i:[-+]?\.?(nan|inf|infinity))"),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})\\Z"), None)


class _Composer:
    """Nodes -> data, noting lines and problems as it goes."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def value(self, node: yaml.Node, path: Path, line: int) -> JSON:
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _TooMuch(
                problem=f"more than {MAX_VALUES} values or {MAX_DEPTH} levels, counting what "
                "aliases (`*name`) repeat; split the site or remove aliases",
                problem_mark=node.start_mark,
            )
        self._document.lines[path] = line
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, path, line, "seq")
            return [
                self.value(item, (*path, i), item.start_mark.line + 1)
                for i, item in enumerate(node.value)
            ]
        return self._scalar(node, path, line)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._check_tag(node, path, node.start_mark.line + 1, "map")
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or _UNPRINTABLE.search(key_node.value):
                self._problem(line, path, "a key must be plain text")
                continue
            key = str(key_node.value)
            if key in result:
                self._problem(
                    line, (*path, key), f"is given twice, first in line {first[key]}; remove one"
                )
                continue
            first[key] = line
            result[key] = self.value(value_node, (*path, key), line)
        return result

    def _scalar(self, node: yaml.Node, path: Path, line: int) -> JSON:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if _UNPRINTABLE.search(text):
            self._problem(line, path, "contains characters that cannot be printed; remove them")
            return ""
        if kind in ("int", "float") and not _is_finite(text):
            self._problem(line, path, f"{cut(text)} is not a number to calculate with; "
                          "write digits, or put text into quotes")  # fmt: skip
            return 0
        if kind not in _READ:
            self._check_tag(node, path, line, "str")
        return _READ.get(kind, str)(text)

    def _check_tag(self, node: yaml.Node, path: Path, line: int, allowed: str) -> None:
        if node.tag != _TAG + allowed:
            self._problem(line, path, f"the tag {cut(node.tag)} has no meaning here; remove it")

    def _problem(self, line: int, path: Path, text: str) -> None:
        where = dotted(path)
        self._document.problems.append(Problem(line, f"{where}: {text}" if where else text))


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:  # `!!int abc`, `.inf`
        return False


def _whole(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text)


_READ: Final[dict[str, Callable[[str], JSON]]] = {
    "null": lambda _text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _whole,
    "float": float,
    "str": str,
}
