"""What the photos of a case say of the vehicle's number plate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import Final

from edge_agent.evidence.case.dossier import Filed
from edge_agent.plates import Look, contradict, decide
from edge_agent.ports import PlateReader
from edge_agent.types import JSON, Case, Photo, PlateRead, Role

DISAGREE: Final = "plates disagree"
NARROW: Final = "plate too narrow"
ILLEGIBLE: Final = "plate not legible"
NOT_FOUND: Final = "no plate found"
NONE_KEPT: Final[Mapping[Role, Filed]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo's plate, or what all looks together made out."""

    text: str | None
    """None where it is not legible."""
    char_scores: Sequence[float]
    reason: str | None = None

    @classmethod
    def of(cls, read: PlateRead | None) -> Shown:
        """What a look at a photo made out; nothing of an unsound read."""
        if read is None:
            return cls(None, (), NOT_FOUND)
        if read.reason is not None or not read.text:
            return cls(None, (), read.reason or ILLEGIBLE)
        return cls(read.text, read.char_scores)

    @classmethod
    def told(cls, plate: Mapping[str, JSON] | None) -> Shown:
        """What an event says."""
        plate = plate or {}
        return cls(plate.get("text"), plate.get("chars") or (), plate.get("reason"))


def with_plates(case: Case, reader: PlateReader, kept: Mapping[Role, Filed] = NONE_KEPT) -> Case:
    """The case with what its photos show of the plate, and the doubts that follow from it.

    kept: photos that only the bundle of an earlier revision has.
    """
    shown = {role: filed.read for role, filed in kept.items()}
    plates = shown | {photo.role: _look(reader, photo) for photo in case.photos}
    told = Shown.told(case.latest.plate)
    doubts = tuple(plate_doubts([Shown.of(read) for read in plates.values()], told))
    unfit = (model for model in reader.models if not model.is_evidential)
    about_models = (f"model {model.name} is not evidential" for model in unfit)
    return replace(
        case,
        plates=plates,
        plate=_verdict(case, [*_looks(case, plates), *_kept(kept)], doubts),
        plate_models=reader.models,
        doubts=tuple(dict.fromkeys((*case.doubts, *doubts, *about_models))),
    )


def plate_doubts(photos: Sequence[Shown], told: Shown) -> Iterator[str]:
    """Why photos do not prove whose vehicle they show; `told` is what is said of all of them."""
    legible = [each for each in photos if each.text is not None]
    texts = [(each.text or "", each.char_scores) for each in legible]
    if not legible:
        found = {each.reason for each in photos} - {NOT_FOUND}
        yield NARROW if found == {NARROW} else ILLEGIBLE
    elif told.text is not None:
        texts.append((told.text, told.char_scores))
    if any(contradict(a, b) for a, b in combinations(texts, 2)):
        yield DISAGREE


def _look(reader: PlateReader, photo: Photo) -> PlateRead | None:
    """A look at one photo; scores rounded as they are signed, so that verifying decides alike."""
    read = reader.look(photo.frame, photo.subject)
    if read is None:
        return None
    return replace(read, char_scores=tuple(round(score, 4) for score in read.char_scores))


def _verdict(case: Case, looks: Sequence[Look], doubts: Sequence[str]) -> Mapping[str, JSON]:
    """What the rule's track agreed on or else what the photos do, unless they disagree."""
    if DISAGREE in doubts:
        nothing = {"text": None, "confidence": 0.0, "region": None}
        return {**nothing, "reads": 0, "reason": DISAGREE}
    told = case.latest.plate
    if told is not None and told["text"] is not None:
        return told
    return decide(looks).as_json()


def _looks(case: Case, plates: Mapping[Role, PlateRead | None]) -> Iterator[Look]:
    for photo in case.photos:
        read = plates[photo.role]
        if read is not None:
            yield Look(photo.frame.t_s, read)


def _kept(kept: Mapping[Role, Filed]) -> Iterator[Look]:
    return (Look(filed.t_s, filed.read) for filed in kept.values() if filed.read is not None)
