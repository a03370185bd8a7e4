"""Keys that change with time: the same plate is another hash in another period, for good."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import ConfigError
from edge_agent.plates import RotatingKeys

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_within_a_period_hashes_agree_and_between_periods_they_do_not(tmp_path: Path) -> None:
    keys = RotatingKeys(tmp_path / "keys", 7)
    first = keys.at(START)
    begin = datetime.fromisoformat(first.name or "").replace(tzinfo=UTC)
    assert begin <= START < begin + 7 * DAY
    told = first.hide("BAB1234")
    assert keys.at(begin + 7 * DAY - timedelta(seconds=1)).hide("BAB1234") == told
    assert RotatingKeys(tmp_path / "keys", 7).at(START).hide("BAB1234") == told
    later = keys.at(begin + 7 * DAY).hide("BAB1234")
    assert (later["hash"] != told["hash"], later["key"] > told["key"]) == (True, True)
    assert "BAB1234" not in repr(first) and str(first.secret) not in repr(first)


def test_a_destroyed_key_makes_its_hashes_worthless(tmp_path: Path) -> None:
    keys = RotatingKeys(tmp_path / "keys", 1)
    old, new = keys.at(START).hide("BAB1234"), keys.at(START + DAY).hide("BAB1234")
    assert keys.destroy(START + DAY) == [old["key"]]
    assert not (tmp_path / "keys" / f"{old['key']}.key").exists()
    assert keys.at(START).hide("BAB1234")["hash"] != old["hash"], "made anew: not the same"
    assert keys.at(START + DAY).hide("BAB1234") == new


@given(st.integers(0, 400), st.integers(1, 366))
def test_a_period_does_not_depend_on_the_time_zone(hours: int, days: int) -> None:
    moment = START + timedelta(hours=hours)
    with TemporaryDirectory() as folder:
        keys = RotatingKeys(Path(folder), days)
        local = moment.astimezone(timezone(timedelta(hours=14)))
        assert keys.at(moment) == keys.at(local)


def test_what_others_may_read_is_no_key(tmp_path: Path) -> None:
    name = RotatingKeys(tmp_path, 7).at(START).name
    (tmp_path / f"{name}.key").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        RotatingKeys(tmp_path, 7).at(START)
