"""docs/rules.md is what the rules themselves say."""

import pytest
import yaml

from edge_agent.analyzers import ANALYZERS
from edge_agent.uplink import schemas
from write_rules import PAGE, example, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python tools/write_rules.py`"


@pytest.mark.parametrize("kind", ANALYZERS)
def test_every_example_is_that_rule(kind: str) -> None:
    (rule,) = yaml.safe_load(f"- {example(kind)}")
    assert rule.pop("kind") == kind
    ANALYZERS[kind].settings.model_validate(rule)


def test_every_setting_has_a_row() -> None:
    sections = dict(part.split("\n", 1) for part in page().split("\n## ")[1:])
    for kind, registered in ANALYZERS.items():
        rows = [line for line in sections[kind].splitlines() if line.startswith("| `")]
        assert len(rows) == len(registered.settings.model_fields)
    assert "stands in the zone again" in sections["parking.illegal"]
    assert "| `dwell_s` | seconds, from 5 to 3,600 | `10` |" in sections["incident.debris"]


def test_what_every_rule_says_has_a_schema() -> None:
    speaking = ANALYZERS.keys() - {"camera.health"}  # tells what ails it: camera.covered and others
    assert {f"urn:edge-agent:schema:{kind}:1" for kind in speaking} <= schemas().keys()
