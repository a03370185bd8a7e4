"""What docs/mqtt.md says is so."""

import re
from pathlib import Path

import pytest
import yaml

from edge_agent.config.uplink import MediaSettings, Metrics, Mqtt
from edge_agent.health import CameraHealth, Snapshot
from edge_agent.live.metrics import _Collector
from edge_agent.uplink import topics
from edge_agent.uplink.onvif import TOPICS

TEXT = Path(__file__).parents[2].joinpath("docs", "mqtt.md").read_text("utf-8")


def test_the_example_is_a_site_files_part() -> None:
    example, photos = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    found = yaml.safe_load(example)
    assert MediaSettings.model_validate(yaml.safe_load(photos)["media"])
    mqtt = Mqtt.model_validate(found["mqtt"])
    assert mqtt.commands == ("snapshot", "reload", "selftest")
    assert Metrics.model_validate(found["metrics"]) == Metrics()
    missing = set(Mqtt.model_fields) - set(found["mqtt"]) - {"username", "password_file"}
    assert not missing


def test_the_table_of_onvif_topics_is_complete() -> None:
    for kind, topic in TOPICS.items():
        name = kind.removeprefix("edge.").removesuffix(".v1")
        rows = [line for line in TEXT.splitlines() if f"`{name}`" in line and topic.path in line]
        assert rows, name


def test_every_figure_is_named() -> None:
    camera = CameraHealth("online", None, 1, 1, 0, 0, 1.0, 0.1, (1.0, 2.0))
    snapshot = Snapshot({"c": camera}, 5.0, 0, 0, 10, 20, 50.0, True, "online")
    for family in _Collector(lambda: snapshot).collect():
        name = family.name.removeprefix("edge_agent_")
        assert f"`{name}" in TEXT, name


@pytest.mark.parametrize("address", topics.ADDRESSES)
def test_every_topic_is_named(address: str) -> None:
    leaf = address.removeprefix("edge/v1/{site}/{device}/")
    named = leaf.replace("{", "<").replace("}", ">").replace("<case>", "<id>")
    if named.startswith(("replay/", "log/", "io/")):
        return  # told as one
    assert f"`{named.replace('<command>', '<name>')}`" in TEXT
