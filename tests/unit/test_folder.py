"""The folder of a replay or a box: whose it is, and that only one writes it."""

import threading
from pathlib import Path

import pytest

from edge_agent.errors import UsageError
from edge_agent.evidence.log import LogKey
from edge_agent.folder import BoxFolder, OutFolder


def test_two_replays_do_not_write_one_folder_at_once(tmp_path: Path) -> None:
    folder = OutFolder(tmp_path / "out", "a")
    with folder.claimed(overwrite=False) as resumes:
        assert not resumes
        with pytest.raises(UsageError, match="another replay"), folder.claimed(overwrite=False):
            pass
    with folder.claimed(overwrite=False) as resumes:
        assert resumes, "what was not finished is resumed by the same run"


def test_a_finished_replay_is_replaced_only_on_request(tmp_path: Path) -> None:
    folder = OutFolder(tmp_path / "out", "a")
    with folder.claimed(overwrite=False):
        folder.events.write_text("x")
        folder.finish()
    with pytest.raises(UsageError, match="finished"), folder.claimed(overwrite=False):
        pass
    assert folder.events.read_text() == "x"
    with folder.claimed(overwrite=True) as resumes:
        assert not resumes and not folder.events.exists()


def test_another_run_does_not_resume(tmp_path: Path) -> None:
    with OutFolder(tmp_path, "a").claimed(overwrite=False):
        pass
    other = OutFolder(tmp_path, "b")
    with pytest.raises(UsageError, match="another, unfinished"), other.claimed(overwrite=False):
        pass


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    folder = OutFolder(tmp_path, "a")
    with pytest.raises(UsageError, match="no replay wrote"), folder.claimed(overwrite=True):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_box_may_keep_keys_and_evidence_in_one_folder(tmp_path: Path) -> None:
    """Both are locked, by the same process: the one must not wait for the other."""
    with BoxFolder(tmp_path).claimed():
        making = threading.Thread(target=LogKey.load_or_create, args=(tmp_path,), daemon=True)
        making.start()
        making.join(10.0)
        assert not making.is_alive()
        with pytest.raises(UsageError, match="another edge-agent"), BoxFolder(tmp_path).claimed():
            pass
