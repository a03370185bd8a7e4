"""Downloads of weights against a real HTTP server that behaves well, badly or not at all."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from edge_agent.errors import ModelError, ModelUnreachable
from edge_agent.vision.store import pull

WEIGHTS = bytes(range(256)) * 2000


@dataclass
class Script:
    """What the server does, and what it was asked for."""

    body: bytes = WEIGHTS
    has_ranges: bool = True
    cut_after: int | None = None
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)
    port: int = 0


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.script.ranges.append(wanted)
        if self.script.status != 200:
            self.send_error(self.script.status)
            return
        start = 0
        if wanted and self.script.has_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.script.body):
                self.send_error(416)
                return
            self.send_response(206)
            total = len(self.script.body)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        rest = self.script.body[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest if self.script.cut_after is None else rest[: self.script.cut_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def script() -> Iterator[Script]:
    told = Script()
    handler = type("Told", (Handler,), {"script": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def write_card(folder: Path, port: int) -> None:
    card = {
        "name": "mine",
        "file": "mine.onnx",
        "licence": "MIT",
        "source": f"http://127.0.0.1:{port}/some/where/weights",
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "bytes": len(WEIGHTS),
        "input": {"width": 64, "height": 64, "colour": "bgr", "resize": "stretch"},
        "decoder": "yolov8",
        "min_score": 0.4,
        "classes": {0: "car"},
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(card))


@pytest.fixture
def cache(tmp_path: Path, script: Script) -> Path:
    write_card(tmp_path, script.port)
    return tmp_path / "cache"


def test_a_download_is_whole_and_reports_progress(cache: Path, script: Script) -> None:
    seen: list[tuple[int, int]] = []
    path = pull("mine", [cache.parent], cache, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == WEIGHTS
    assert seen[0] == (0, len(WEIGHTS))
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert not list(cache.glob("*.part"))
    pull("mine", [cache.parent], cache)
    assert len(script.ranges) == 1, "what is there is not fetched again"


def test_a_download_that_broke_off_is_continued(cache: Path, script: Script) -> None:
    script.cut_after = 200_000
    with pytest.raises(ModelError, match=r"broke off after 200000 of 512000.*models pull mine"):
        pull("mine", [cache.parent], cache)
    script.cut_after = None
    assert pull("mine", [cache.parent], cache).read_bytes() == WEIGHTS
    assert script.ranges == [None, "bytes=200000-"]


def test_a_server_without_ranges_starts_again(cache: Path, script: Script) -> None:
    cache.mkdir()
    (cache / "mine.onnx.part").write_bytes(WEIGHTS[:1000])
    script.has_ranges = False
    assert pull("mine", [cache.parent], cache).read_bytes() == WEIGHTS


def test_a_part_that_is_already_whole_is_only_verified(cache: Path, script: Script) -> None:
    cache.mkdir()
    (cache / "mine.onnx.part").write_bytes(WEIGHTS)
    assert pull("mine", [cache.parent], cache).read_bytes() == WEIGHTS
    assert script.ranges == []


def test_a_part_that_is_too_large_is_thrown_away(cache: Path, script: Script) -> None:
    cache.mkdir()
    (cache / "mine.onnx.part").write_bytes(WEIGHTS * 2)
    assert pull("mine", [cache.parent], cache).read_bytes() == WEIGHTS
    assert script.ranges == [None]


def test_a_range_that_the_server_cannot_satisfy_starts_again(cache: Path, script: Script) -> None:
    cache.mkdir()
    (cache / "mine.onnx.part").write_bytes(WEIGHTS[:1000])
    script.body = b"short"
    with pytest.raises(ModelError, match="broke off after 5 of 512000"):
        pull("mine", [cache.parent], cache)
    assert script.ranges == ["bytes=1000-", None]


@pytest.mark.parametrize("body", [b"x" + WEIGHTS[1:], WEIGHTS + b"more"])
def test_another_file_is_deleted_and_named(cache: Path, script: Script, body: bytes) -> None:
    script.body = body
    with pytest.raises(ModelError, match=r"delivered another file: expected 512000 bytes"):
        pull("mine", [cache.parent], cache)
    assert list(cache.iterdir()) == []


def test_a_bad_beginning_is_found_out_after_resuming(cache: Path, script: Script) -> None:
    cache.mkdir()
    (cache / "mine.onnx.part").write_bytes(b"y" * 1000)
    with pytest.raises(ModelError, match="delivered another file"):
        pull("mine", [cache.parent], cache)
    assert pull("mine", [cache.parent], cache).read_bytes() == WEIGHTS


@pytest.mark.parametrize(("status", "exit_code"), [(404, 78), (403, 78), (429, 69), (500, 69)])
def test_a_refusal_names_the_address_and_the_status(
    cache: Path, script: Script, status: int, exit_code: int
) -> None:
    script.status = status
    with pytest.raises(ModelError, match=rf"http://127\.0\.0\.1.*answered {status}") as refused:
        pull("mine", [cache.parent], cache)
    assert refused.value.exit_code == exit_code


def test_no_server_is_said_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        write_card(tmp_path, free.getsockname()[1])
        with pytest.raises(ModelUnreachable, match=r"cannot be reached.*Check the net") as failed:
            pull("mine", [tmp_path], tmp_path / "cache")
        assert failed.value.exit_code == 69
        assert str(failed.value).endswith(f"elsewhere and put it into {tmp_path / 'cache'}")


def test_a_cache_that_cannot_be_written_is_said_so(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="cannot write to"):
        pull("mine", [cache.parent], cache)
