"""Reading number plates: find, look closer, read, judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge_agent.config.models import PlateSettings
from edge_agent.errors import ModelError
from edge_agent.types import Box, Frame, Image, ModelInfo, PlateRead, Track
from edge_agent.vision.plates.finder import FoundPlate, PlateFinder, open_finder
from edge_agent.vision.plates.grammar import Grammar, Verdict, judge, load_grammar
from edge_agent.vision.plates.recogniser import Reading, Recogniser, open_recogniser
from edge_agent.vision.plates.turns import Turns

CHINESE = "cn"
"""The region whose plates need an alphabet of their own."""
MARGIN = 0.05
"""Share of a vehicle's box added around it: boxes often end at the bumper."""
MAX_PLATES = 3
"""Places in one vehicle's box that are tried; grilles and stickers look like plates, too."""
SURE_SCORE = 0.95
"""A first glance that fits a series this surely needs no closer look: 228 of 229 were right."""
GREY = 114
"""Around a plate that is cut out: as light as neither plates nor letters are."""
FAINT_SCORE = 0.1
"""Places that look so little like a plate are tried, too, but only a series' text proves them."""
MIN_SCORE = 0.5
"""Below this the network itself would not bet on one of the characters."""

Judged = tuple[Reading, Verdict]


class OnnxPlateReader:
    """Finds, straightens and reads plates with small networks; one instance per camera."""

    def __init__(
        self,
        settings: PlateSettings,
        finder: PlateFinder,
        recognisers: Sequence[tuple[Recogniser, Sequence[Grammar]]],
    ) -> None:
        self.models: tuple[ModelInfo, ...] = (finder.model, *(r.model for r, _ in recognisers))
        self._settings = settings
        self._finder = finder
        self._recognisers = recognisers
        self._turns = Turns(settings.max_reads_per_s, settings.min_width_px)

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        """Look at the vehicle whose turn it is, if it is anybody's."""
        track = self._turns.next(frame.t_s, tracks)
        if track is None:
            return ()
        read = self._look(frame.image, track.seen or track.box, track.id)
        self._turns.note(frame.t_s, track, read)
        return () if read is None else (read,)

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        """Look at one vehicle now, outside the turns; None where no plate is found."""
        return self._look(frame.image, vehicle, 0)

    def spell(self, plate: Image) -> PlateRead:
        """Read (H, W, 3) BGR that shows a plate and little else: one that is cut out."""
        height, width = plate.shape[:2]
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        whole = FoundPlate(corners, 1.0, is_double=False)
        closer = (found for found in self._framed(plate) if found.fills(whole))
        outlines = [whole, *islice(closer, 1)]
        reading, verdict = self._judged(lambda recogniser: recogniser.read(plate, outlines))
        return self._report(outlines[-1], reading, verdict, 0)

    def _framed(self, plate: Image) -> list[FoundPlate]:
        """What is found in a picture that is too narrow for the finder: it needs surroundings."""
        edge = plate.shape[1] // 2
        grey = (GREY, GREY, GREY)
        framed = cv2.copyMakeBorder(plate, *(edge,) * 4, cv2.BORDER_CONSTANT, value=grey)
        everywhere = Box(0, 0, framed.shape[1], framed.shape[0])
        seen = self._finder.find(np.asarray(framed, np.uint8), everywhere)
        return [replace(found, corners=found.corners - edge) for found in seen]

    def _look(self, image: Image, vehicle: Box, track_id: int) -> PlateRead | None:
        """The first plate that reads soundly, else the one that was read most surely."""
        reads: list[PlateRead] = []
        known = self._finder.find(image, _widened(vehicle))
        while len(reads) < min(len(known), MAX_PLATES):
            read, others = self._read_plate(image, known[len(reads)], track_id)
            if read.reason is None:
                return read
            reads.append(read)
            known += [plate for plate in others if not any(map(plate.is_near, known))]
        return max(reads, key=lambda read: read.score, default=None)

    def _read_plate(
        self, image: Image, found: FoundPlate, track_id: int
    ) -> tuple[PlateRead, list[FoundPlate]]:
        """The read, and what else looked like a plate on a closer look."""
        reading, verdict = self._judged(lambda recogniser: recogniser.glance(image, found))
        if verdict.is_series and reading.score >= SURE_SCORE:
            return self._report(found, reading, verdict, track_id), []
        closer, *others = self._finder.zoom(image, found)
        outlines = [closer] if closer is found else [closer, found]
        reading, verdict = self._judged(lambda recogniser: recogniser.read(image, outlines))
        return self._report(closer, reading, verdict, track_id), others

    def _judged(self, read: Callable[[Recogniser], Reading]) -> Judged:
        """The reading that fits a grammar: of the first alphabet that has one, else the surest."""
        readings: list[Judged] = []
        for recogniser, grammars in self._recognisers:
            reading = read(recogniser)
            verdict = judge(reading.text, grammars)
            if verdict.is_series and reading.score >= MIN_SCORE:
                return reading, verdict
            readings.append((reading, verdict))
        return max(readings, key=lambda j: (j[1].is_series, j[1].region is not None, j[0].score))

    def _report(
        self, found: FoundPlate, reading: Reading, verdict: Verdict, track_id: int
    ) -> PlateRead:
        return PlateRead(
            track_id=track_id,
            text=verdict.text,
            char_scores=reading.scores,
            region=verdict.region,
            corners=tuple((float(x), float(y)) for x, y in found.corners),
            found_score=found.score,
            reason=self._complaint(found, reading, verdict),
        )

    def _complaint(self, found: FoundPlate, reading: Reading, verdict: Verdict) -> str | None:
        if found.width_px < self._settings.min_width_px:
            return "plate too narrow"
        is_faint = found.score < self._finder.sure_score and not verdict.is_series
        if reading.score < MIN_SCORE or is_faint:
            return "unsure"
        return "no grammar" if verdict.region is None else None


PROVINCE = "\u4eac"
"""Beijing: whoever reads Chinese plates knows its sign."""


def _widened(box: Box) -> Box:
    x, y = box.width * MARGIN, box.height * MARGIN
    return Box(box.x1 - x, box.y1 - y, box.x2 + x, box.y2 + y)


def models_of(settings: PlateSettings) -> tuple[str, ...]:
    """Fields of the settings whose models are opened."""
    latin = any(region != CHINESE for region in settings.regions)
    readers = {"chinese_recogniser": CHINESE in settings.regions, "recogniser": latin}
    return ("finder", *(key for key, is_opened in readers.items() if is_opened))


def open_plate_reader(settings: PlateSettings, paths: Sequence[Path]) -> OnnxPlateReader:
    """A fresh reader for one camera; ModelError names the command that fixes a problem."""
    latin = [load_grammar(region) for region in settings.regions if region != CHINESE]
    recognisers: list[tuple[Recogniser, Sequence[Grammar]]] = []
    if CHINESE in settings.regions:
        # Comes first: its series begin with a character that the other alphabet would just skip.
        chinese = open_recogniser(settings.chinese_recogniser, paths)
        if not chinese.knows(PROVINCE):
            raise ModelError(
                f"model {settings.chinese_recogniser!r}: its alphabet has no {PROVINCE}, so it "
                "reads no Chinese plates; name such a model as `chinese_recogniser`"
            )
        recognisers.append((chinese, [load_grammar(CHINESE)]))
    if latin:
        recognisers.append((open_recogniser(settings.recogniser, paths), latin))
    return OnnxPlateReader(settings, open_finder(settings.finder, paths, FAINT_SCORE), recognisers)
