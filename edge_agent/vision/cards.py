"""Model cards: what a weight file is, how it is fed and read, and where it comes from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_agent.config.wording import suggestion
from edge_agent.errors import ModelError

PATH_VARIABLE = "EDGE_AGENT_MODELS"
Unit = Annotated[float, Field(gt=0, le=1)]
Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Input(_Strict):
    """What the network wants to see; a value becomes (value - mean) / std."""

    width: Annotated[int, Field(ge=32, le=4096)] | None = None
    """px; None takes the size from the file's own metadata."""
    height: Annotated[int, Field(ge=32, le=4096)] | None = None
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "uint8"] = "float32"
    colour: Literal["bgr", "rgb"]
    mean: Triple = (0.0, 0.0, 0.0)
    """Per channel in the order of `colour`, on the scale 0..255."""
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    resize: Literal["letterbox_centre", "letterbox_topleft", "stretch"]
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    """Grey level of the letterbox margin, before mean and std."""


class Card(_Strict):
    """One model: a weight file and everything that is needed to use it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    file: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    """Name of the weight file, without a folder."""
    licence: str
    source: Annotated[str, Field(pattern=r"^https?://")] | None = None
    source_note: str | None = None
    """How the file was made, when it cannot be downloaded as it is."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0)]
    input: Input
    decoder: str
    """A key of `decoders.DECODERS`."""
    min_score: Unit
    nms_iou: Unit = 0.5
    classes: Literal["metadata"] | dict[Annotated[int, Field(ge=0)], str]
    """Index of the model's class -> our name for it; other classes are dropped."""
    alphabet: str | None = None
    """Of a network that reads text: its characters in the order of its outputs."""
    is_evidential: bool = True

    @model_validator(mode="after")
    def _has_origin(self) -> Card:
        if self.source is None and not self.source_note:
            raise ValueError("source: expected an address, or a source_note saying how it was made")
        return self


def search_path(models_dir: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """Folders in which cards and weights are looked up, first hit wins."""
    listed = environ.get(PATH_VARIABLE, "").split(os.pathsep)
    own = Path(__file__).resolve().parent.parent
    candidates = [models_dir, *(Path(p).expanduser() for p in listed if p)]
    candidates += [own / "_models", own.parent / "models", cache_dir()]
    return [path for path in candidates if path is not None and path.is_dir()]


def cache_dir() -> Path:
    """Where downloaded weights go when nothing else is said."""
    return Path(platformdirs.user_cache_dir("edge-agent")) / "models"


def read_card(path: Path) -> Card:
    """The card in a YAML file; ModelError names the file, the key and what is expected."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"model card {path}: cannot be read: {error.strerror}") from error
    # ValueError: not UTF-8, or an absurd escape or date; RecursionError: nested too deeply
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        what = " ".join(str(error).split())[:120]
        raise ModelError(f"model card {path}: is not valid YAML: {what}; correct it") from error
    if not isinstance(raw, dict):
        raise ModelError(f"model card {path}: expected keys and values, found {type(raw).__name__}")
    try:
        card = Card.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'card'}: {item['msg']}"
            for item in error.errors()
        )
        raise ModelError(f"model card {path}: {problems}") from error
    if card.name != path.stem:
        raise ModelError(
            f"model card {path}: name: expected {path.stem!r} as the file says, got {card.name!r}"
        )
    return card


def card_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Model name -> card file, in alphabetical order; earlier folders win."""
    found: dict[str, Path] = {}
    for folder in paths:
        for path in sorted(file for file in folder.glob("*.yaml") if file.is_file()):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def find_card(name: str, paths: Sequence[Path]) -> Card:
    """The card of that name; ModelError lists the names that exist."""
    files = card_files(paths)
    if name in files:
        return read_card(files[name])
    if name == "motion":
        raise ModelError(
            f"model {name!r}: has no weights and can only be a camera's `detector`; name a network"
        )
    known = ["motion", *files]
    guess = suggestion(name, known)
    raise ModelError(
        f"model {name!r}: no card {name}.yaml in {', '.join(map(str, paths)) or 'any folder'}; "
        f"{guess + ' ' if guess.startswith('did') else ''}"
        f"known models: {', '.join(known)}. Use one of these, or "
        f"`edge-agent models add FILE --name {name}` for a model of your own"
    )


def model_flaw(name: str, paths: Sequence[Path], reads_weights: bool) -> str | None:
    """Why a model cannot be opened, as far as its card tells, and its file if it is read."""
    try:
        card = find_card(name, paths)
        if reads_weights:
            find_weights(card, paths)
    except ModelError as error:
        return str(error)
    return None


def find_weights(card: Card, paths: Sequence[Path]) -> Path:
    """The verified weight file of a card; ModelError names the command that fixes it."""
    candidates = [folder / card.file for folder in paths if (folder / card.file).is_file()]
    for path in candidates:
        if file_sha256(path) == card.sha256:
            return path
    if not candidates:
        raise ModelError(
            f"model {card.name!r}: the weight file {card.file} is in none of "
            f"{', '.join(map(str, paths)) or 'no folder'}; {fix(card)}"
        )
    raise ModelError(
        f"model {card.name!r}: {candidates[0]} is not the file that the card describes: expected "
        f"sha256 {card.sha256[:16]}..., got {file_sha256(candidates[0])[:16]}...; {fix(card)}"
    )


def fix(card: Card) -> str:
    """What to do when the weights of a card are missing or wrong."""
    if card.source is not None:
        return f"run `edge-agent models pull {card.name}`"
    return (
        f"it cannot be downloaded ({card.source_note}); put {card.file} into a folder named in "
        f"{PATH_VARIABLE}, or run `edge-agent models add FILE --name {card.name}` for another file"
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex; remembered until the file changes."""
    try:
        info = path.stat()
        return _sha256(path, info.st_mtime_ns, info.st_size)
    except OSError as error:
        raise ModelError(f"model file {path}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
