"""pydantic's findings in the words of the person who wrote the file."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edge_agent.config.document import Path, cut
from edge_agent.types import JSON

_UNITS: Final = {
    "_ms": "milliseconds",
    "_per_s": "how many per second",
    "_s": "seconds",
    "_px": "pixels",
    "_fps": "frames per second",
    "_kmh": "km/h",
    "_mps": "metres per second",
    "_m": "metres",
    "_min": "minutes",
    "_deg": "degrees",
}

_EXPECTED: Final = {
    "string_type": "text; put it in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list: [..], or lines that start with `- `",
    "tuple_type": "a list: [..], or lines that start with `- `",
    "set_type": "a list: [..], or lines that start with `- `",
    "frozen_set_type": "a list: [..], or lines that start with `- `",
    "dict_type": "a group of `key: value` lines",
    "mapping_type": "a group of `key: value` lines",
    "model_type": "a group of `key: value` lines",
    "model_attributes_type": "a group of `key: value` lines",
    "path_type": "the name of a file or folder",
    "time_type": "a time such as 07:00",
    "time_parsing": "a time such as 07:00",
    "time_delta_parsing": "a length of time",
    "date_type": "a date such as 2026-05-13",
    "date_parsing": "a date such as 2026-05-13",
    "date_from_datetime_parsing": "a date such as 2026-05-13",
    "datetime_type": "a date and time such as 2026-05-13T09:49:12Z",
    "datetime_parsing": "a date and time such as 2026-05-13T09:49:12Z",
    "datetime_from_date_parsing": "a date and time such as 2026-05-13T09:49:12Z",
    "none_required": "nothing",
}

_LIMITS: Final = {
    "greater_than": ("is not above", "gt"),
    "greater_than_equal": ("is below", "ge"),
    "less_than": ("is not below", "lt"),
    "less_than_equal": ("is above", "le"),
}

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"


def plain_errors(
    error: ValidationError, model: type[BaseModel], data: JSON
) -> list[tuple[Path, str]]:
    """Every problem as (path into `data`, what is wrong and what to do), each place once."""
    found: dict[Path, str] = {}
    details = [(_path(detail, data), detail) for detail in error.errors(include_url=False)]
    limited = {path for path, detail in details if detail["type"] in _LIMITS}
    for path, detail in details:
        if path in limited and detail["type"] in _EXPECTED:
            continue  # another arm of the union; the value is of the kind that has a limit
        text = describe(detail, model)
        if path in found and text not in found[path]:  # the arms of a union: `str | list[str]`
            found[path] += ", or " + text
        found.setdefault(path, text)
    return [
        (path, text)
        for path, text in found.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other in found)
    ]


def describe(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with one value and what to write instead; without its place."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{_shown(value)} {words} {_number(context[key])}{_advice(detail['loc'], model)}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}{_advice(detail['loc'], model)}; got {_kind(value)}"
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(detail, model)
    said = detail["msg"].removeprefix("Input ")
    return f"{_shown(value)}: {said[:1].lower()}{said[1:]}"


def suggestion(word: str, known: Iterable[str | int]) -> str:
    """`did you mean ...?`, or the list of what is known."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(names)}" if names else "there are none"


def _missing(detail: ErrorDetails, model: type[BaseModel]) -> str:
    key = detail["loc"][-1]
    if isinstance(key, int):
        return "is missing; the list is too short"
    return f"is missing; add `{key}:`"


def _unknown(detail: ErrorDetails, model: type[BaseModel]) -> str:
    *parents, key = detail["loc"]
    known = [name for kind in _kinds_at(tuple(parents), model) for name in _fields(kind)]
    return f"unknown key; {suggestion(str(key), known)}"


def _pattern(detail: ErrorDetails, _model: type[BaseModel]) -> str:
    if detail.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return (
            f"{_shown(detail['input'])} cannot be a name: use lower-case letters a-z, digits, "
            "`-` and `_`, at most 63, starting with a letter or digit"
        )
    return f"{_shown(detail['input'])} is not written as expected"


def _own_words(detail: ErrorDetails, _model: type[BaseModel]) -> str:
    said = str(detail.get("ctx", {}).get("error", detail["msg"]))
    value = detail["input"]
    return said if isinstance(value, Mapping | list) else f"{_shown(value)}: {said}"


def _literal(detail: ErrorDetails, _model: type[BaseModel]) -> str:
    expected = detail["ctx"]["expected"].replace("'", "`")
    return f"{_shown(detail['input'])} is not one of {expected}"


def _tag(detail: ErrorDetails, _model: type[BaseModel]) -> str:
    context = detail["ctx"]
    key = context["discriminator"].strip("'")
    known = [tag.strip("' ") for tag in context.get("expected_tags", "").split(",")]
    if "tag" not in context:
        return f"is missing its `{key}:`"
    return f"`{key}: {cut(context['tag'])}` is not known; {suggestion(context['tag'], known)}"


def _size(detail: ErrorDetails, _model: type[BaseModel]) -> str:
    context = detail["ctx"]
    actual = context.get("actual_length", len(detail["input"]))
    if "min_length" in context:
        return f"has {actual} entries; at least {context['min_length']} are needed"
    return f"has {actual} entries; at most {context['max_length']} are allowed"


def _infinite(detail: ErrorDetails, _model: type[BaseModel]) -> str:
    return f"{_shown(detail['input'])} is not a number to calculate with"


_SPECIAL: Final[dict[str, Callable[[ErrorDetails, type[BaseModel]], str]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "string_pattern_mismatch": _pattern,
    "value_error": _own_words,
    "assertion_error": _own_words,
    "literal_error": _literal,
    "enum": _literal,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _tag,
    "too_short": _size,
    "too_long": _size,
    "finite_number": _infinite,
}


def _path(detail: ErrorDetails, data: JSON) -> Path:
    """The error's place in `data`: pydantic also names union arms and the like, which drop out."""
    path: list[str | int] = []
    for part in detail["loc"]:
        is_there = part in data if isinstance(data, dict) else _is_index(part, data)
        if is_there:
            data = data[part]
            path.append(part)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _is_index(part: str | int, data: JSON) -> bool:
    return isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data)


def _advice(loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """`; write seconds, e.g. 60`, from the field's name and default."""
    key, default = _field(loc, model)
    unit = next((word for end, word in _UNITS.items() if key.endswith(end)), None)
    has_example = isinstance(default, int | float) and not isinstance(default, bool)
    example = f"e.g. {_number(default)}" if has_example else ""
    words = ", ".join(word for word in (f"write {unit}" if unit else "", example) if word)
    return f"; {words}" if words else ""


def _field(loc: tuple[str | int, ...], model: type[BaseModel]) -> tuple[str, object]:
    """Name and default of the innermost field around `loc`."""
    for end in range(len(loc), 0, -1):
        for kind in _kinds_at(loc[: end - 1], model):
            field = _fields(kind).get(loc[end - 1])
            if field is not None:
                return str(loc[end - 1]), field.default
    return "", None


def _kinds_at(loc: tuple[str | int, ...], model: type[BaseModel]) -> list[Any]:
    """The types that may stand at `loc` inside the model."""
    kinds: list[Any] = [model]
    for part in loc:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)] or kinds
    return kinds


def _inside(kind: object, part: str | int) -> list[Any]:
    field = _fields(kind).get(part)
    if field is not None:
        return _arms(field.annotation)
    args = get_args(kind)
    if not args:
        return []
    return _arms(args[1] if get_origin(kind) is dict else args[0])


def _arms(annotation: object) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _arms(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [arm for each in get_args(annotation) for arm in _arms(each)]
    return [annotation]


def _fields(kind: object) -> dict[str | int, FieldInfo]:
    """The keys that a model takes in a file; nothing for other types."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"text {_shown(value)}"
    if isinstance(value, int | float):
        return f"the number {_number(value)}"
    return "a list" if isinstance(value, list) else "a group of keys"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"`{cut(value)}`"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return _kind(value)


def _number(value: object) -> str:
    return cut(f"{value:.10g}" if isinstance(value, float) else str(value))
