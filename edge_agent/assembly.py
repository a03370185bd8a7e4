"""Puts one camera's components together: which concrete class stands behind which port."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge_agent.analyzers import DOCUMENTED, NEED_HEADS, make_analyzer
from edge_agent.analyzers.view import View, expand_classes
from edge_agent.config import Camera, DetectorSettings, HeadSettings, Rule, Site
from edge_agent.config.lists import open_book
from edge_agent.config.load import Flaw
from edge_agent.config.wording import suggestion
from edge_agent.errors import ConfigError, ModelError
from edge_agent.evidence import CaseCollector
from edge_agent.identity import digest
from edge_agent.pipeline import Pipeline, RuleSlot
from edge_agent.ports import Analyzer, BayWatcher, Detector, HeadFinder, Redactor
from edge_agent.tracking import Tracker
from edge_agent.vision import (
    STREET,
    model_flaw,
    models_of,
    open_bay_watcher,
    open_detector,
    open_gate,
    open_head_finder,
    open_plate_reader,
    open_redactor,
    search_path,
)


def model_paths(site: Site | None = None) -> list[Path]:
    """Where model cards and weights are looked for, best first."""
    return search_path(site.models_dir if site else None, os.environ)


class Detectors:
    """One loaded model for all cameras that use it; the ordered ones are made per camera."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._loaded: dict[tuple[str, float | None, str], Detector] = {}

    def get(self, settings: DetectorSettings) -> Detector:
        key = _model_key(settings)
        if key in self._loaded:
            return self._loaded[key]
        detector = open_detector(settings, self._paths)
        if not detector.is_ordered:
            self._loaded[key] = detector
        return detector

    def keep(self, wanted: Iterable[DetectorSettings]) -> None:
        """Let go of those that none of these settings asks for."""
        keys = {_model_key(settings) for settings in wanted}
        self._loaded = {key: found for key, found in self._loaded.items() if key in keys}


def _model_key(settings: DetectorSettings) -> tuple[str, float | None, str]:
    return settings.model, settings.min_score, settings.provider


def model_flaws(site: Site, reads_weights: bool) -> Iterator[Flaw]:
    """Every model that is asked for and not there: where in the site file, and what to do.

    reads_weights: the files of weights are looked at as well, which a slow disk may take long for.
    """
    paths = model_paths(site)
    for where, name in _named_models(site):
        flaw = model_flaw(name, paths, reads_weights) if name else None
        if flaw is not None:
            yield where, flaw


def _named_models(site: Site) -> Iterator[tuple[tuple[str, ...], str | None]]:
    for name, camera in site.cameras.items():
        at = ("cameras", name)
        if camera.detector.model != "motion":
            yield (*at, "detector", "model"), camera.detector.model
        if camera.plates is not None:
            for key in models_of(camera.plates):
                yield (*at, "plates", key), getattr(camera.plates, key)
        if (heads := _head_settings(camera)) is not None:
            yield (*at, "heads", "model"), heads.model
        if camera.bays is not None:
            yield (*at, "bays", "model"), camera.bays.model
    if site.privacy.redact:
        for key in ("face_model", "plate_model"):
            yield ("privacy", key), getattr(site.privacy, key)


def make_pipeline(name: str, camera: Camera, site: Site, detector: Detector) -> Pipeline:
    """The components of one camera, in their initial state."""
    _check_classes(name, camera, detector)
    has_calls = any(call.camera == name for call in site.calls.values())
    view = replace(View.of(name, camera, site.site, open_book(site)), has_calls=has_calls)
    settings = camera.detector
    with _named(f"camera {name}: plates"):
        plates = open_plate_reader(camera.plates, model_paths(site)) if camera.plates else None
    with _named(f"camera {name}: heads"):
        heads = _open_heads(camera, site)
    with _named(f"camera {name}: bays"):
        bays = _open_bays(camera, view, site)
    return Pipeline(
        detector=detector,
        tracker=Tracker(camera.tracker, high_score=detector.min_score),
        rules=[
            RuleSlot(rule.kind, _maker(rule, view), _rule_key(rule, camera, view))
            # What the picture is worth must be known before anything is decided on it.
            for rule in sorted(camera.rules, key=lambda rule: rule.kind != "camera.health")
        ],
        collector=CaseCollector(site.evidence, kinds=DOCUMENTED, plates=plates),
        gate=open_gate() if settings.gate and not detector.is_ordered else None,
        plates=plates,
        heads=heads,
        bays=bays,
        may_rest=settings.rest,
        eyes=_eyes_key(camera, site),
        min_interval_s=1 / settings.max_fps if settings.max_fps else 0.0,
    )


def make_redactor(site: Site) -> Redactor | None:
    """What makes the publishable copies of evidence photos, if the site wants any."""
    privacy = site.privacy
    if not privacy.redact:
        return None
    with _named("privacy"):
        return open_redactor(privacy.face_model, privacy.plate_model, model_paths(site))


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Say which part of the site file asks for a model: its name may be nowhere in it."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def _check_classes(name: str, camera: Camera, detector: Detector) -> None:
    """Raise ConfigError for a rule that asks for what the camera's model can never report."""
    known = sorted({*detector.names, *STREET})
    for rule in camera.rules:
        wanted = getattr(rule.settings, "classes", None)
        for word in wanted or ():
            if word not in known:
                raise ConfigError(
                    f"camera {name}: {rule.kind}: classes: no model knows `{word}`; "
                    f"{suggestion(word, known)}"
                )
        if wanted and expand_classes(wanted).isdisjoint(detector.names):
            raise ConfigError(
                f"camera {name}: {rule.kind}: watches for {', '.join(wanted)}, but the model "
                f"{detector.model.name} reports only {', '.join(detector.names)}; "
                "name another one as `detector: {model: ...}`"
            )


def _open_bays(camera: Camera, view: View, site: Site) -> BayWatcher | None:
    if camera.bays is None:
        return None
    return open_bay_watcher(camera.bays, camera.detector.model, view.zones, model_paths(site))


def _head_settings(camera: Camera) -> HeadSettings | None:
    is_needed = any(rule.kind in NEED_HEADS for rule in camera.rules)
    return camera.heads or (HeadSettings() if is_needed else None)


def _open_heads(camera: Camera, site: Site) -> HeadFinder | None:
    settings = _head_settings(camera)
    return open_head_finder(settings, model_paths(site)) if settings else None


def _rule_key(rule: Rule, camera: Camera, view: View) -> str:
    """What the rule is: kind, settings, and the parts of the site file that they speak of."""
    text = rule.settings.model_dump_json()
    about = camera.model_dump(mode="json", include={"ground", "plates", "directions"})
    if rule.kind.startswith("parking.") and camera.bays is not None:
        text += camera.bays.model_dump_json()
    for part, places in (("zones", camera.zones), ("lines", camera.lines)):
        about[part] = {
            name: str(place)
            for name, place in places.items()
            # Who has moved a camera on purpose draws its zones anew.
            if f'"{name}"' in text or rule.kind == "camera.health"
        }
    if rule.kind == "camera.health" and view.has_calls:
        about["has_calls"] = True
    if hasattr(rule.settings, "lists"):
        about["lists"] = str(view.book)
    about |= {"settings": text, "timezone": str(view.timezone)}
    return f"{rule.kind}/{digest(json.dumps(about, sort_keys=True))[:16]}"


def _eyes_key(camera: Camera, site: Site) -> str:
    """What looks at the pictures and chooses among them."""
    looks = camera.model_dump_json(include={"detector", "tracker", "plates"})
    return digest(looks, site.evidence.model_dump_json(), str(site.models_dir))


def _maker(rule: Rule, view: View) -> Callable[[], Analyzer]:
    return lambda: make_analyzer(rule, view)
