"""Signal phases recorded beside a clip."""

from pathlib import Path

import pytest

from edge_agent.errors import SignalError
from edge_agent.signals import open_recorded

GOOD = """\
{"t_s": 0, "phase": "main", "state": "green"}
{"t_s": 3.2, "phase": "main", "state": "amber"}

{"t_s": 3.2, "phase": "side-1", "state": "red"}
{"t_s": 6.2, "phase": "main", "state": "red"}
{"t_s": 9.0, "phase": "side-1", "state": "conflict"}
"""


def clip(folder: Path, text: str | bytes, name: str = "signals.jsonl") -> Path:
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    return folder / "street.mp4"


def test_a_change_counts_from_its_own_time_on(tmp_path: Path) -> None:
    signals = open_recorded(clip(tmp_path, GOOD))
    assert signals is not None
    assert dict(signals.at(0.0)) == {"main": "green"}, "nothing is known of the other one yet"
    assert dict(signals.at(3.1999)) == {"main": "green"}
    assert dict(signals.at(3.2)) == {"main": "amber", "side-1": "red"}
    assert dict(signals.at(8.9)) == {"main": "red", "side-1": "red"}
    assert dict(signals.at(1e6)) == {"main": "red", "side-1": "conflict"}


def test_before_the_first_line_nothing_is_known(tmp_path: Path) -> None:
    signals = open_recorded(clip(tmp_path, '{"t_s": 2, "phase": "a", "state": "red"}'))
    assert signals is not None
    assert dict(signals.at(1.99)) == {}
    empty = open_recorded(clip(tmp_path, "\n\n"))
    assert empty is not None and dict(empty.at(5)) == {}


def test_states_cannot_be_changed(tmp_path: Path) -> None:
    signals = open_recorded(clip(tmp_path, GOOD))
    assert signals is not None
    with pytest.raises(TypeError):
        signals.at(0)["main"] = "red"  # type: ignore[index]


def test_the_clips_own_file_comes_first(tmp_path: Path) -> None:
    video = clip(tmp_path, GOOD)
    assert open_recorded(tmp_path / "other.mp4") is not None
    own = '{"t_s": 0, "phase": "mine", "state": "dark"}'
    clip(tmp_path, own, "street.signals.jsonl")
    signals = open_recorded(video)
    assert signals is not None and dict(signals.at(0)) == {"mine": "dark"}
    other = open_recorded(tmp_path / "other.mp4")
    assert other is not None and dict(other.at(0)) == {"main": "green"}


def test_a_folder_of_stills_has_it_inside(tmp_path: Path) -> None:
    stills = tmp_path / "stills"
    stills.mkdir()
    clip(stills, GOOD)
    assert open_recorded(stills) is not None
    assert open_recorded(tmp_path / "street.mp4") is None


def test_its_hash_is_that_of_the_file(tmp_path: Path) -> None:
    first, again = (open_recorded(clip(tmp_path, GOOD)) for _ in range(2))
    other = open_recorded(clip(tmp_path, GOOD + "\n"))
    assert first and again and other
    assert first.sha256 == again.sha256 != other.sha256


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"t_s": 3.0, "phase": "main", "state": "red"}', "t_s 3 lies before 3.2"),
        ('{"t_s": 4, "phase": "main", "state": "blue"}', "state: "),
        ('{"t_s": 4, "phase": "Main Street", "state": "red"}', "phase: "),
        ('{"t_s": -1, "phase": "main", "state": "red"}', "t_s: "),
        ('{"t_s": "4", "phase": "main", "state": "red"}', "t_s: "),
        ('{"t_s": NaN, "phase": "main", "state": "red"}', "t_s: "),
        ('{"t_s": true, "phase": "main", "state": "red"}', "t_s: "),
        ('{"phase": "main", "state": "red"}', "t_s: "),
        ('{"t_s": 4, "phase": "main", "state": "red", "lamp": 1}', "lamp: "),
        ('["red"]', "is not a JSON object"),
        ("red", "is not a JSON object"),
        ('{"t_s": 4, "phase": "main", "state": "red"', "is not a JSON object"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    good = GOOD.splitlines()[:4]
    with pytest.raises(SignalError) as caught:
        open_recorded(clip(tmp_path, "\n".join([*good, line])))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'signals.jsonl'}:5: ") and said in message
    assert "\n" not in message


def test_no_text_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match=r"signals\.jsonl:1: "):
        open_recorded(clip(tmp_path, b"\xff\xfe\x00\x01"))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    video = clip(tmp_path, GOOD)
    (tmp_path / "signals.jsonl").unlink()
    (tmp_path / "signals.jsonl").mkdir()
    assert open_recorded(video) is None, "a folder of that name is no recording"
