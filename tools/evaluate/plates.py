"""Number plates: how many photos are read without a single mistake, by us and by two others."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.config.models import PlateSettings
from edge_agent.errors import ModelError, SourceError
from edge_agent.types import ArrayPicture, Box, Frame, Image, PlateRead
from edge_agent.vision import OnnxPlateReader, open_plate_reader, search_path
from edge_agent.vision.plates.finder import FoundPlate
from edge_agent.vision.plates.grammar import judge, load_grammar
from edge_agent.vision.plates.recogniser import straighten

WIDE_PX = 90
"""Narrower plates are counted apart."""
CHINESE_CROPS_STEP = 8
"""Every eighth of nearly 500 alike pictures."""
JOINED = 3
"""So many neighbouring texts of rapidocr may make up a plate."""
COUNTED = ("openalpr-us", "openalpr-eu", "romania", "ccpd", "argentina-crops")
"""The sets that make up the total; Chinese samples and crops are told beside them."""

REGIONS: Mapping[str, str] = {
    **{"openalpr-us": "us", "openalpr-eu": "eu", "romania": "eu", "argentina-crops": "ar"},
    **{"ccpd": "cn", "chinese-samples": "cn", "chinese-crops": "cn"},
}

MISLABELLED: Mapping[str, tuple[str, str]] = {
    "eu5.jpg": ("OY09FEU", "British: two digits, the year, follow the two letters of the area"),
    "test_006.jpg": ("RK099AN", "Slovak: three digits follow the district's two letters"),
    "test_024.jpg": ("RK026AJ", "Slovak: three digits follow the district's two letters"),
    "test_033.jpg": ("RK082AL", "Slovak: three digits follow the district's two letters"),
    "test_051.jpg": ("RK605AB", "Slovak: three digits follow the district's two letters"),
    "test_056.jpg": ("RK300AG", "Slovak: three digits follow the district's two letters"),
    "test_065.jpg": ("4B04979", "Czech: the letter O is not in use, so that nobody takes it for 0"),
}
"""Photos of openalpr-eu whose label has the letter O for a digit -> what is printed, and why that
is certain. They count as errors all the same; `ours as printed` is told beside it."""

SAMPLES: Mapping[str, str] = {
    "resource_images_2.jpg": "藏DT5022",
    "resource_images_test_img.jpg": "苏ED51712",
}
"""Whole photos of chinese-samples whose plate is wide enough, as read by eye."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture with a plate."""

    path: Path
    label: str
    region: str
    is_wide: bool
    is_crop: bool = False
    """It shows the plate and nothing else."""

    @property
    def printed(self) -> str:
        """What the plate says, whatever the label says."""
        return MISLABELLED.get(self.path.name, (self.label, ""))[0]


Reader = Callable[[Photo, Image], str]


def photos(shared: Path) -> dict[str, list[Photo]]:
    """Every labelled photo, set by set."""
    folder = shared / "plates"
    found = {name: list(_openalpr(folder / name)) for name in ("openalpr-us", "openalpr-eu")}
    found["romania"] = list(_romania(folder / "romania"))
    ccpd = json.loads((folder / "ccpd" / "truth.json").read_text(encoding="utf-8"))
    found["ccpd"] = _all_wide(folder / "ccpd", ccpd, "ccpd")
    found["argentina-crops"] = list(_argentina(folder / "argentina-crops"))
    found["chinese-samples"] = _all_wide(folder / "chinese-samples", SAMPLES, "chinese-samples")
    crops = sorted((folder / "chinese-crops").glob("*.jpg"))[::CHINESE_CROPS_STEP]
    found["chinese-crops"] = [Photo(path, path.stem, "cn", True, is_crop=True) for path in crops]
    return found


def _openalpr(folder: Path) -> Iterator[Photo]:
    for path in sorted(folder.glob("*.txt")):
        name, _, _, width, _, label = path.read_text(encoding="utf-8").split()
        yield Photo(folder / name, label, REGIONS[folder.name], int(width) >= WIDE_PX)


def _romania(folder: Path) -> Iterator[Photo]:
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    for name, told in sorted(truth.items()):
        if not name.startswith("_"):
            width = told["box_xyxy"][2] - told["box_xyxy"][0]
            yield Photo(folder / "images" / name, told["plate"], "eu", width >= WIDE_PX)


def _argentina(folder: Path) -> Iterator[Photo]:
    rows = (folder / "benchmark" / "anotaciones.txt").read_text(encoding="utf-8").splitlines()
    for name, label in (row.split() for row in rows):
        is_wide = load(folder / name).shape[1] >= WIDE_PX
        yield Photo(folder / name, label, "ar", is_wide, is_crop=True)


def _all_wide(folder: Path, truth: Mapping[str, str], name: str) -> list[Photo]:
    region = REGIONS[name]
    listed = sorted(item for item in truth.items() if not item[0].startswith("_"))
    return [Photo(folder / file, label, region, True) for file, label in listed]


def load(path: Path) -> Image:
    """(H, W, 3) BGR."""
    image = cv2.imread(str(path))
    if image is None:
        raise SourceError(f"{path}: not a picture")
    return np.asarray(image, np.uint8)


class Ours:
    """The product's reader: the photo is looked at as a vehicle's box is, a crop as a plate."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._readers: dict[str, OnnxPlateReader] = {}

    def __call__(self, photo: Photo, image: Image) -> str:
        read = self.read(photo, image)
        return "" if read is None else read.text

    def read(self, photo: Photo, image: Image) -> PlateRead | None:
        """The whole read; ModelError where weights are missing."""
        if photo.region not in self._readers:
            settings = PlateSettings.model_validate({"regions": [photo.region]})
            self._readers[photo.region] = open_plate_reader(settings, self._paths)
        reader = self._readers[photo.region]
        if photo.is_crop:
            return reader.spell(image)
        frame = Frame("photo", 0, 0.0, datetime(2000, 1, 1, tzinfo=UTC), ArrayPicture(image))
        return reader.look(frame, Box(0, 0, frame.width, frame.height))


class RapidOcr:
    """A plain rapidocr pipeline over the whole photo; of its texts the one that fits best."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        self._engine = RapidOCR(params={"Global.log_level": "critical"})

    def __call__(self, photo: Photo, image: Image) -> str:
        told: Any = self._engine(image)
        grammars = [load_grammar(photo.region)]
        best = (False, False, 0.0, "")
        for text, score in _candidates(list(zip(told.txts or (), told.scores or (), strict=True))):
            verdict = judge("".join(c for c in text.upper() if c.isalnum()), grammars)
            rank = (verdict.is_series, verdict.region is not None, score, verdict.text)
            best = max(best, rank)
        return best[3]


def _candidates(told: Sequence[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Every text, every word of it, and neighbours together, as a gap often parts a plate."""
    for start in range(len(told)):
        for end in range(start + 1, min(start + JOINED, len(told)) + 1):
            yield "".join(t for t, _ in told[start:end]), min(float(s) for _, s in told[start:end])
        text, score = told[start]
        yield from ((word, float(score)) for word in text.split())


class Tesseract:
    """Tesseract, one line, on the plate as we found and straightened it."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours

    def __call__(self, photo: Photo, image: Image) -> str:
        plate = self._plate(photo, image)
        if plate is None:
            return ""
        height = 64 if plate.shape[0] < 64 else plate.shape[0]
        size = (round(plate.shape[1] * height / plate.shape[0]), height)
        grey = cv2.cvtColor(cv2.resize(plate, size), cv2.COLOR_BGR2GRAY)
        framed = cv2.copyMakeBorder(grey, 10, 10, 10, 10, cv2.BORDER_REPLICATE)
        allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        listed = ["-c", f"tessedit_char_whitelist={allowed}"] if photo.region != "cn" else []
        language = "chi_sim+eng" if photo.region == "cn" else "eng"
        told = subprocess.run(
            ["tesseract", "stdin", "stdout", "--psm", "7", "-l", language, *listed],
            input=cv2.imencode(".png", framed)[1].tobytes(),
            capture_output=True,
            check=True,
        ).stdout.decode()
        text = "".join(char for char in told.upper() if char.isalnum())
        return judge(text, [load_grammar(photo.region)]).text

    def _plate(self, photo: Photo, image: Image) -> Image | None:
        read = self._ours.read(photo, image)
        if read is None:
            return None
        found = FoundPlate(np.array(read.corners, np.float32), read.found_score, False)
        return straighten(image, found, (0.0, 0.0))


def peers(ours: Ours) -> tuple[dict[str, Reader], dict[str, str]]:
    """Those that are installed, and why the others are not measured."""
    able: dict[str, Reader] = {}
    missing: dict[str, str] = {}
    try:
        able["rapidocr"] = RapidOcr()
    except ImportError:
        missing["rapidocr"] = "NOT MEASURED: pip install 'edge-agent[test]'"
    if shutil.which("tesseract"):
        able["tesseract"] = Tesseract(ours)
    else:
        missing["tesseract"] = "NOT MEASURED: tools/install_test_needs.sh"
    return able, missing


def evaluate(shared: Path) -> dict[str, Any]:
    """Photos read exactly as labelled, per set and in all, wide plates and narrow ones apart."""
    ours = Ours(search_path(None, {"EDGE_AGENT_MODELS": str(shared / "models")}))
    others, missing = peers(ours)
    sets: dict[str, Any] = {}
    for name, listed in photos(shared).items():
        try:
            sets[name] = _measure(listed, ours, others)
        except ModelError as error:
            sets[name] = {"NOT MEASURED": str(error)}
    counted = [sets[name]["wide"] for name in COUNTED if "wide" in sets[name]]
    keys = ("photos", "ours", "ours as printed", "ours sound and wrong", *others)
    total = {key: sum(each[key] for each in counted) for key in keys}
    return {"sets": sets, "total of wide plates": total, **missing}


def _measure(listed: Sequence[Photo], ours: Ours, others: Mapping[str, Reader]) -> dict[str, Any]:
    """Counts of right reads by everybody, and our errors one by one."""
    told: dict[str, Any] = {}
    for width in ("wide", "narrow"):
        chosen = [photo for photo in listed if photo.is_wide == (width == "wide")]
        if not chosen:
            continue
        pictures = [load(photo.path) for photo in chosen]
        told[width] = count(chosen, [ours.read(*p) for p in zip(chosen, pictures, strict=True)])
        if width == "wide":  # nobody claims to read the narrow ones
            for name, read in others.items():
                texts = [read(*pair) for pair in zip(chosen, pictures, strict=True)]
                told[width][name] = sum(p.label == t for p, t in zip(chosen, texts, strict=True))
    return told


def count(photos: Sequence[Photo], reads: Sequence[PlateRead | None]) -> dict[str, Any]:
    """How many are right as labelled and as printed; which are not, and which labels are wrong."""
    pairs = [(p, r.text if r else "") for p, r in zip(photos, reads, strict=True)]
    sound = [(p, r.text) for p, r in zip(photos, reads, strict=True) if r and r.reason is None]
    mislabelled = {p.path.name: p.label for p in photos if p.printed != p.label}
    return {
        "photos": len(photos),
        "ours": sum(photo.label == text for photo, text in pairs),
        "ours as printed": sum(photo.printed == text for photo, text in pairs),
        "ours sound and wrong": sum(photo.printed != text for photo, text in sound),
        "errors": {p.path.name: [p.label, text] for p, text in pairs if p.label != text},
        "label errors": {name: [it, *MISLABELLED[name]] for name, it in mislabelled.items()},
    }
