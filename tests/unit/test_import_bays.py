"""Outlines of bays from files."""

from pathlib import Path

import pytest

from edge_agent.config import Camera
from import_bays import read_occupied, read_outlines, site_part

XML = """<parking id="lot">
 <space id="7" occupied="1"><contour>
  <point x="10" y="20"/><point x="50" y="20"/><point x="50" y="60"/><point x="-2" y="60"/>
 </contour></space>
 <space id="8"><contour><Point x="60" y="20"/><Point x="90" y="20"/><Point x="90" y="60"/>
 </contour></space>
</parking>"""


def test_pklot_becomes_part_of_a_site_file(tmp_path: Path) -> None:
    path = tmp_path / "lot.xml"
    path.write_text(XML)
    part = site_part(read_outlines(path), (100, 100))
    camera = Camera.model_validate({**part, "detector": {"model": "yolox_nano"}})
    assert camera.bays is not None
    assert camera.bays.zones == ("bay7", "bay8")
    assert camera.zones["bay7"] == [(0.1, 0.2), (0.5, 0.2), (0.5, 0.6), (0.0, 0.6)]
    assert read_occupied(path) == {"bay7": True}


def test_json_outlines(tmp_path: Path) -> None:
    path = tmp_path / "lot.json"
    path.write_text('{"a1": [[0, 0], [10, 0], [10, 10]]}')
    assert read_outlines(path) == {"a1": [(0, 0), (10, 0), (10, 10)]}


@pytest.mark.parametrize("text", ["<parking/>", "no xml"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lot.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"lot\.xml"):
        read_outlines(path)
