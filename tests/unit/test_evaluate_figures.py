"""The ratchet: no figure falls without a stated reason."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_agent.analyzers import ANALYZERS, rule_settings
from edge_agent.config import load_site
from evaluate.__main__ import main
from evaluate.everything import STAFF, TEMPLATES, site, views
from evaluate.figures import Figure, falls, load_results, read_figures
from evaluate.page import write_page
from evaluate.sections import SECTIONS, Section

DOCS = Path(__file__).resolve().parents[2] / "docs"


def figure(value: float, better: Any = "higher", slack: float = 0.0) -> Figure:
    return Figure("a.b", value, better, 10, slack)


@pytest.mark.parametrize(
    ("before", "now", "does_fall"),
    [
        (figure(0.9), figure(0.9), False),
        (figure(0.9), figure(0.95), False),
        (figure(0.8776), figure(43 / 49), False),  # as it was kept, as it is measured
        (figure(0.9), figure(0.89), True),
        (figure(0.9, slack=0.02), figure(0.89, slack=0.02), False),
        (figure(0.9, slack=0.02), figure(0.87, slack=0.02), True),
        (figure(2, "lower"), figure(2, "lower"), False),
        (figure(2, "lower"), figure(1, "lower"), False),
        (figure(2, "lower"), figure(3, "lower"), True),
    ],
)
def test_what_counts_as_a_fall(before: Figure, now: Figure, does_fall: bool) -> None:
    assert bool(list(falls([now], [before]))) == does_fall


def test_a_figure_that_is_gone_has_fallen() -> None:
    (fall,) = falls([], [figure(0.9)])
    assert "not measured any more" in str(fall)


def run(docs: Path, value: float, *options: str) -> Any:
    def measure(shared: Path) -> dict[str, Any]:
        return {"value": value}

    def told(section: Mapping[str, Any]) -> list[Figure]:
        return [Figure("helmets.head.f1", section["value"], "higher")]

    arguments = ["--shared", str(docs), "--docs", str(docs), *options]
    return CliRunner().invoke(main, arguments, obj={"helmets": Section(measure, told)})


def test_a_lower_figure_is_refused_until_a_reason_is_given(tmp_path: Path) -> None:
    assert run(tmp_path, 0.93).exit_code == 0
    refused = run(tmp_path, 0.91)
    assert refused.exit_code == 1
    assert "helmets.head.f1 fell from 0.93 to 0.91" in refused.output
    assert read_figures(load_results(tmp_path / "results.json"))[0].value == 0.93
    assert run(tmp_path, 0.91, "--because", "nonsense").exit_code == 2
    reason = "helmets.head.f1=a smaller model, three times as fast"
    assert run(tmp_path, 0.91, "--because", reason).exit_code == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["reasons"]["helmets.head.f1"] == "a smaller model, three times as fast"
    assert "three times as fast" in (tmp_path / "results.md").read_text()


def test_every_rule_is_measured() -> None:
    assert {template.kind for template in TEMPLATES} == ANALYZERS.keys()


@pytest.mark.parametrize("clip", views())
def test_every_view_is_a_good_site_file(clip: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(site(clip, views()[clip])))
    (tmp_path / "staff.csv").write_text(STAFF)
    camera = load_site(path, rule_settings()).cameras["c1"]
    assert len(camera.rules) >= 3


def test_the_page_is_what_the_results_say(tmp_path: Path) -> None:
    results = load_results(DOCS / "results.json")
    write_page(tmp_path / "results.md", results)
    assert (tmp_path / "results.md").read_text() == (DOCS / "results.md").read_text()


def test_every_section_has_figures() -> None:
    sections = {
        each.name.partition(".")[0] for each in read_figures(load_results(DOCS / "results.json"))
    }
    assert sections == set(SECTIONS)
