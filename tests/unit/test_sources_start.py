"""Where the wall clock of a recording's first frame comes from."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from edge_agent.sources.start import ASSUMED, recording_start, stamp_in_name

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2019-06-28_13-02-35.503167_00001.03601.mp4", (2019, 6, 28, 13, 2, 35, 503167)),
        ("2013-04-12_14_20_09.jpg", (2013, 4, 12, 14, 20, 9)),
        ("20130412T142009Z.jpg", (2013, 4, 12, 14, 20, 9)),
        ("cam3 2013-04-12 14.20.09.5.3gp", (2013, 4, 12, 14, 20, 9, 500000)),
        ("VID_20130412_142009.mp4", (2013, 4, 12, 14, 20, 9)),
        ("20130412142009", (2013, 4, 12, 14, 20, 9)),
        ("20139912_142009 20130412_142009.avi", (2013, 4, 12, 14, 20, 9)),
        ("2013-04-12T14:20:09Z", (2013, 4, 12, 14, 20, 9)),
    ],
)
def test_stamp_in_name(name: str, expected: tuple[int, ...]) -> None:
    assert stamp_in_name(name, UTC) == datetime(*expected, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize("name", ["car.mp4", "20130412.mp4", "0001-01-01_00-00-00.mp4", "1" * 30])
def test_names_without_a_stamp(name: str) -> None:
    assert stamp_in_name(name, UTC) is None


def test_a_name_is_local_time_unless_it_says_utc() -> None:
    summer = datetime(2019, 6, 28, 12, 2, 35, tzinfo=UTC)
    assert stamp_in_name("2019-06-28_13-02-35.mp4", LONDON) == summer
    assert stamp_in_name("2019-06-28_12-02-35Z.mp4", LONDON) == summer


def test_precedence() -> None:
    given = datetime(2026, 5, 13, 9, 49, 12, tzinfo=timezone(timedelta(hours=2)))
    name, tags = "2019-06-28_13-02-35.mp4", {"creation_time": "2018-04-19T22:46:00.000000Z"}
    start = datetime(2026, 5, 13, 7, 49, 12, tzinfo=UTC)
    assert recording_start(given, name, tags, UTC) == (start, "given")
    named = datetime(2019, 6, 28, 13, 2, 35, tzinfo=UTC)
    assert recording_start(None, name, tags, UTC) == (named, "name")
    created = datetime(2018, 4, 19, 22, 46, tzinfo=UTC)
    assert recording_start(None, "car.mp4", tags, LONDON) == (created, "metadata")
    assert recording_start(None, "car.mp4", {}, UTC) == (ASSUMED, "assumed")
    assert recording_start(None, "car.mp4", {"creation_time": "soon"}, UTC)[1] == "assumed"


def test_a_given_time_without_zone_is_local() -> None:
    local = datetime(2019, 6, 28, 13, 2, 35)  # noqa: DTZ001
    start = datetime(2019, 6, 28, 12, 2, 35, tzinfo=UTC)
    assert recording_start(local, "car.mp4", {}, LONDON) == (start, "given")
