"""Whatever bytes a site file holds, the answer is a site or a ConfigError."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from edge_agent.config import RuleSettings
from edge_agent.config.load import load_site
from edge_agent.config.models import Site
from edge_agent.errors import ConfigError

GOOD = b"""\
site: {name: demo, timezone: Europe/Berlin, lat: 52.5}
device: box-1
state_dir: ~/state
mqtt: {host: broker, protocol: 5, tls: {ca: ca.pem}}
cameras:
  north: &north
    detector: {model: motion, gate: off}
    zones:
      kerb: [[0.1, 0.5], [0.4, 0.5], [0.4, 0.9]]
    lines:
      entry: {a: [0, 0.5], b: [1, 0.5], to_right: "in"}
    rules:
      - kind: parking
        zone: kerb
        dwell_s: 90
        classes: [car, 'bus']
  south: *north
"""
PIECES = [
    b"\t", b"\n", b"  ", b": ", b"- ", b"[", b"]", b"{", b"}", b'"', b"'", b"&north ", b"*north",
    b"!!int ", b"!x ", b"|", b">", b"? ", b"%YAML 9.9\n", b"---\n", b"...\n", b"<<: *north\n",
    b"\\U00110000", b"\\x00", b"\x00", b"\xff", b"\xed\xa0\x80", b".nan", b"1e999", b"9" * 400,
    b"07:00", b"null", b"~", b"~root/x", b"true", b"#", b"@", b"`", b",", b"\xc2\x85",
]  # fmt: skip


class Parking(RuleSettings):
    zone: str | list[str]
    dwell_s: Annotated[float, Field(gt=0)] = 60.0
    classes: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "site.yaml"


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The good file with a few pieces put in, cut out, doubled or moved."""
    data = GOOD
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4), st.just(b"")))
        data = data[:start] + piece + data[end:]
    return data


@settings(max_examples=250, deadline=None)
@given(data=st.one_of(mutated(), st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_a_site_or_a_clear_error(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    try:
        site = load_site(file, {"parking": Parking})
    except ConfigError as error:
        assert all(line.startswith(str(file)) for line in str(error).splitlines())
        str(error).encode("utf-8")
    else:
        assert isinstance(site, Site)
