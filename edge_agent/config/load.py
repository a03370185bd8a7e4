"""A site file: found, read, checked as a whole, and complained about as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError, create_model
from pydantic.json_schema import models_json_schema

from edge_agent.config import coherence, document, lists, signal_io
from edge_agent.config.document import Document, Problem, dotted
from edge_agent.config.models import Rule, RuleSettings, Site
from edge_agent.config.wording import NAME_PATTERN, plain_errors, suggestion
from edge_agent.errors import ConfigError
from edge_agent.types import JSON

Rules = Mapping[str, type[RuleSettings]]
"""What may be said of each kind of rule."""
Flaw = tuple[document.Path, str]
"""Where in a site file, and what is wrong there and what to do."""
_MAX_LISTED: Final = 50
_PROFILE: Final = ("evidence", "profile")
_FILES: Final[tuple[document.Path, ...]] = (
    ("models_dir",),
    ("state_dir",),
    ("data_dir",),
    ("device_key", "pkcs11", "module"),
    ("device_key", "pkcs11", "pin_file"),
    ("mqtt", "password_file"),
    ("mqtt", "tls", "ca"),
    ("mqtt", "tls", "certificate"),
    ("mqtt", "tls", "key"),
    ("privacy", "key_file"),
    ("plate_lists", "*", "file"),
    ("cameras", "*", "source", "credentials_file"),
    ("cameras", "*", "source", "path"),
    ("cameras", "*", "source", "sub_path"),
    _PROFILE,
)
"""Where file names stand; `*` is any key. `evidence.profile` may name a profile as well."""
_REFERENCES: Final = {
    **dict.fromkeys(("zone", "zones", "except_zones"), "zones"),
    **dict.fromkeys(("line", "lines"), "lines"),
}
"""Fields of a rule that name zones or lines of its camera."""
_SITE_REFERENCES: Final = {"lists": "plate_lists", "output": "outputs"}
"""Fields of a rule that name something that the whole site shares."""


def load_site(
    path: Path,
    rules: Rules,
    find_profile: Callable[[str], object] = lambda name: None,
) -> Site:
    """Read and check a site file (YAML, UTF-8).

    `rules` maps each kind of rule to the model of its settings: in the file these stand beside
    `kind`. Relative paths start at the file's folder, `~` is the home folder.
    Raises ConfigError with every problem, one per line: `site.yaml:12: where: what; what to do`.
    Once nothing is wrong with the file itself, the plate lists and, by `find_profile`, the
    evidence profile that it names are read as well.
    """
    found = document.parse(_text(path))
    check = _Check(found, path, rules)
    site = check.site()
    if site is None or check.problems:
        raise ConfigError(_listed(path, check.problems))
    complaints = lists.complaints(site, found, path)
    if site.evidence.profile is not None:
        try:
            find_profile(site.evidence.profile)
        except ConfigError as error:
            where = f"{path}:{found.line(_PROFILE)}: {dotted(_PROFILE)}: "
            complaints.append(("" if Path(site.evidence.profile).is_file() else where) + str(error))
    if complaints:
        raise ConfigError("\n".join(complaints))
    return site


def located(path: Path, flaws: Iterable[Flaw]) -> ConfigError:
    """All that is wrong with what a valid site file names, with the lines that name it."""
    found = document.parse(_text(path))
    return ConfigError(
        _listed(path, [Problem(found.line(at), f"{dotted(at)}: {text}") for at, text in flaws])
    )


def site_sha256(path: Path) -> str:
    """SHA-256 (hex) of the file's bytes, as every event names it."""
    return hashlib.sha256(_bytes(path)).hexdigest()


def site_schema(rules: Rules) -> dict[str, Any]:
    """JSON Schema (2020-12) of a site file, for editors that complete and check while typing."""
    kinds = [_rule_with_kind(kind, model) for kind, model in rules.items()]
    models: list[type[BaseModel]] = [Site, *kinds]
    refs, schema = models_json_schema([(model, "validation") for model in models])
    schema["$defs"]["Rule"] = {"oneOf": [refs[model, "validation"] for model in kinds]}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "edge-agent site"}
    return {**head, **refs[Site, "validation"], "$defs": schema["$defs"]}


def _rule_with_kind(kind: str, model: type[RuleSettings]) -> type[RuleSettings]:
    """The settings as they stand in the file: beside `kind`."""
    fields: dict[str, Any] = {"kind": (Literal[kind], ...)}
    return create_model("Rule_" + kind.replace(".", "_"), __base__=model, **fields)


def _text(path: Path) -> str:
    data = _bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: is not UTF-8 text; save the file with the encoding UTF-8"
        ) from error


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would wait for ever
            raise ConfigError(f"{path}: is not a regular file; name an existing site file")
        with path.open("rb") as file:
            data = file.read(document.MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; name an existing site file") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: is a folder; name the site file inside it") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > document.MAX_BYTES:
        raise ConfigError(
            f"{path}: is larger than {document.MAX_BYTES // 1024} KiB, which no site file is; "
            "name the YAML file"
        )
    return data


def _listed(path: Path, problems: list[Problem]) -> str:
    lines = sorted({(problem.line, problem.text) for problem in problems})
    shown = [f"{path}:{line}: {text}" for line, text in lines[:_MAX_LISTED]]
    if len(lines) > _MAX_LISTED:
        shown.append(f"{path}: and {len(lines) - _MAX_LISTED} more problems")
    return "\n".join(shown)


class _Check:
    """One pass over one file's data, noting every problem."""

    def __init__(self, found: Document, path: Path, rules: Rules) -> None:
        self._found = found
        self._folder = path.parent.absolute()
        self._rules = rules
        self._placed: list[tuple[document.Path, RuleSettings]] = []
        self.problems = found.problems

    def site(self) -> Site | None:
        data = self._found.data
        if not isinstance(data, dict):
            if not self.problems:
                got = "the file is empty" if data is None else "the file is not a group of keys"
                self._add((), f"{got}; write `site:`, `device:` and `cameras:`, each with its keys")
            return None
        for where, text in signal_io.refused(data):
            self._add(where, text)
        data = self._with_files(self._with_rules(data))
        site = self._validated(Site, data, ())
        if not isinstance(site, Site):
            return None
        for place, settings in self._placed:
            for key, text in settings.problems(site.cameras[str(place[1])], site.site):
                self._add((*place, key), text)
        for where, text in coherence.problems(site):
            self._add(where, text)
        return site

    def _add(self, path: document.Path, text: str) -> None:
        where = dotted(path)
        line = self._found.line(path)
        if where and any(
            known.text.startswith((f"{where}: ", f"{where}[")) for known in self.problems
        ):
            return  # what it was replaced by to go on is nobody's mistake
        self.problems.append(Problem(line, f"{where}: {text}" if where else text))

    def _validated(
        self, model: type[BaseModel], data: dict[str, Any], where: document.Path
    ) -> BaseModel | None:
        try:
            result = model.model_validate(data)
        except ValidationError as error:
            for path, text in plain_errors(error, model, data):
                self._add(where + path, text + _hint(where + path, text))
            return None
        for path in _truths_as_numbers(data, result, ()):
            self._add(where + path, "expected a number; got true or false")
        return result

    def _with_rules(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data with every rule replaced by its validated model; bad rules are left out."""
        cameras = data.get("cameras")
        if not isinstance(cameras, dict):
            return data
        checked = {
            name: self._camera(camera, ("cameras", name)) for name, camera in cameras.items()
        }
        return {**data, "cameras": checked}

    def _camera(self, camera: JSON, where: document.Path) -> JSON:
        if not isinstance(camera, dict):
            return camera
        self._check_directions(camera, where)
        if not isinstance(camera.get("rules"), list):
            return camera
        rules = []
        for i, raw in enumerate(camera["rules"]):
            place = (*where, "rules", i)
            model = self._rule_model(raw, place)
            if model is None:
                continue
            self._check_references(camera, model, raw, place)
            own = {key: value for key, value in raw.items() if key != "kind"}
            settings = self._validated(model, own, place)
            if getattr(settings, "classes", None) == ():
                text = "names nothing to watch for; leave it out, or write e.g. [vehicle, person]"
                self._add((*place, "classes"), text)
            if isinstance(settings, RuleSettings):
                self._placed.append((place, settings))
                rules.append(Rule(kind=raw["kind"], settings=settings))
        return {**camera, "rules": rules}

    def _rule_model(self, raw: JSON, place: document.Path) -> type[RuleSettings] | None:
        known = f"known kinds: {', '.join(self._rules)}"
        if not isinstance(raw, dict):
            self._add(place, f"a rule is a group of keys that starts with `kind:`; {known}")
            return None
        kind = raw.get("kind")
        if kind is None:
            self._add((*place, "kind"), f"is missing; add `kind:`; {known}")
        elif not isinstance(kind, str) or kind not in self._rules:
            guess = suggestion(str(kind), self._rules)
            text = f"`{document.cut(str(kind))}` is no kind of rule; {guess}"
            self._add((*place, "kind"), text if guess.startswith("known") else f"{text} {known}")
        else:
            return self._rules[kind]
        return None

    def _check_references(
        self,
        camera: dict[str, Any],
        model: type[RuleSettings],
        raw: dict[str, Any],
        place: document.Path,
    ) -> None:
        owners = [("this camera", camera, _REFERENCES)]
        owners += [("this site", self._found.data, _SITE_REFERENCES)]
        for owner, holder, references in owners:
            for key in (name for name in references if name in model.model_fields):
                named = raw.get(key, model.model_fields[key].default)
                known = holder.get(references[key]) or {}
                if not isinstance(known, dict):
                    continue
                for name in named if isinstance(named, list | tuple) else [named]:
                    if isinstance(name, str) and name not in known:
                        group = references[key].removesuffix("s").replace("_", " ")
                        what = f"{owner} has no {group} `{document.cut(name)}`"
                        self._add((*place, key), f"{what}; {suggestion(name, known)}")

    def _check_directions(self, camera: dict[str, Any], where: document.Path) -> None:
        """Every arrow belongs to a zone."""
        directed, zones = camera.get("directions"), camera.get("zones") or {}
        if not isinstance(directed, dict) or not isinstance(zones, dict):
            return
        for name in directed:
            if name not in zones:
                text = f"this camera has no zone `{document.cut(name)}`; {suggestion(name, zones)}"
                self._add((*where, "directions", name), text)

    def _with_files(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data with every file name made absolute."""
        for path in _FILES:
            data = self._with_file(data, path, path)
        return data

    def _with_file(
        self, data: dict[str, Any], path: document.Path, full: document.Path
    ) -> dict[str, Any]:
        key, *rest = path
        if key == "*":
            for name in data:
                data = self._with_file(data, (name, *rest), (*full[:1], name, *rest))
            return data
        value = data.get(str(key))
        if rest and isinstance(value, dict):
            return {**data, str(key): self._with_file(value, tuple(rest), full)}
        is_name = full == _PROFILE and re.fullmatch(NAME_PATTERN, str(value))
        if rest or not isinstance(value, str) or is_name:
            return data
        try:
            return {**data, str(key): str(self._folder / Path(value).expanduser())}
        except RuntimeError:
            self._add(full, f"`{document.cut(value)}`: there is no such home folder")
            return data


def _hint(path: document.Path, text: str) -> str:
    places = ("zones", "directions", "lines", "picture")
    is_corner = path[0:1] == ("cameras",) and any(part in places for part in path[2:])
    if is_corner and ("is above 1" in text or "is below 0" in text):
        return "; corners are shares of the picture, 0..1: divide pixels by its width or height"
    return ""


def _truths_as_numbers(raw: object, seen: object, path: document.Path) -> Iterator[document.Path]:
    """Where the file says true or false and pydantic made 1 or 0 of it."""
    if isinstance(raw, bool):
        if isinstance(seen, int | float) and not isinstance(seen, bool):
            yield path
    elif isinstance(raw, dict):
        for key, value in raw.items():
            inner = seen.get(key) if isinstance(seen, dict) else getattr(seen, key, None)
            yield from _truths_as_numbers(value, inner, (*path, key))
    elif isinstance(raw, list) and isinstance(seen, list | tuple):
        for i, (value, inner) in enumerate(zip(raw, seen, strict=False)):
            yield from _truths_as_numbers(value, inner, (*path, i))
