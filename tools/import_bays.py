"""Turns outlines of parking bays into the part of a site file that describes them.

  tools/import_bays.py lot.xml --picture still.jpg > bays.yaml

Reads the XML of PKLot (one `space` per bay, `contour` in px), or JSON: {"a1": [[x, y], ...], ...}
in px of the picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import cv2
import yaml

Outlines = Mapping[str, list[tuple[float, float]]]


def read_outlines(path: Path) -> Outlines:
    """Bay -> corners in px, in order; ValueError says what is wrong with the file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() == ".json":
        return {name: [(x, y) for x, y in corners] for name, corners in json.loads(text).items()}
    try:
        spaces = ET.fromstring(text).findall("space")
    except ET.ParseError as error:
        raise ValueError(f"{path}: is no XML ({error})") from error
    if not spaces:
        raise ValueError(f"{path}: names no `space`")
    return {f"bay{space.attrib['id']}": _contour(space) for space in spaces}


def read_occupied(path: Path) -> dict[str, bool]:
    """Bay -> whether PKLot's label says that it is occupied; unlabelled bays are left out."""
    spaces = ET.parse(path).getroot().findall("space")
    labelled = [space for space in spaces if "occupied" in space.attrib]
    return {f"bay{s.attrib['id']}": s.attrib["occupied"] == "1" for s in labelled}


def site_part(outlines: Outlines, size: tuple[int, int]) -> dict[str, object]:
    """`zones` and `bays` of a camera with pictures of that size."""
    width, height = size
    zones = {
        name: [[_share(x, width), _share(y, height)] for x, y in corners]
        for name, corners in outlines.items()
    }
    return {"zones": zones, "bays": {"zones": list(zones)}}


def _contour(space: ET.Element) -> list[tuple[float, float]]:
    contour = space.find("contour")
    points = [] if contour is None else list(contour)
    return [(float(point.attrib["x"]), float(point.attrib["y"])) for point in points]


def _share(px: float, of: int) -> float:
    return round(min(max(px / of, 0.0), 1.0), 5)


@click.command(epilog="Example: tools/import_bays.py lot.xml --picture still.jpg > bays.yaml")
@click.argument("outlines", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--picture", required=True, type=click.Path(exists=True, dir_okay=False),
              help="A picture of the camera: the outlines are in its px.")  # fmt: skip
def main(outlines: Path, picture: str) -> None:
    """Print what belongs under a camera in the site file."""
    image = cv2.imread(picture)
    if image is None:
        raise click.BadParameter(f"{picture}: cannot be read", param_hint="--picture")
    try:
        part = site_part(read_outlines(outlines), (image.shape[1], image.shape[0]))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(yaml.safe_dump(part, sort_keys=False, default_flow_style=None), nl=False)


if __name__ == "__main__":
    main()
