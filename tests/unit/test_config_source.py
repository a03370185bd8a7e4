"""Where live pictures come from, as a site file says it."""

from pathlib import Path

import pytest

from edge_agent.config import FileSettings, NetworkSettings, Site, load_site
from edge_agent.config.source import without_secrets
from edge_agent.errors import ConfigError

HEAD = "site: {name: a}\ndevice: d\ncameras:\n"


def _load(folder: Path, **sources: str) -> Site:
    path = folder / "site.yaml"
    path.write_text(HEAD + "".join(f"  {n}: {{source: {{{s}}}}}\n" for n, s in sources.items()))
    return load_site(path, {})


def test_every_kind_is_read(tmp_path: Path) -> None:
    site = _load(
        tmp_path,
        a="kind: rtsp, url: rtsp://192.0.2.1/1, sub: rtsp://192.0.2.1/2, credentials_file: c.txt",
        b="kind: http, url: 'http://192.0.2.1/video?fps=5', stall_s: 2",
        c="kind: v4l2, device: /dev/v4l/by-id/usb-x-video-index0, size: [640, 480]",
        d="kind: picamera, number: 1, sub_size: null",
        e="kind: file, path: a.mp4, loop: true",
    )
    rtsp, file = site.cameras["a"].source, site.cameras["e"].source
    assert isinstance(rtsp, NetworkSettings) and rtsp.credentials_file == tmp_path / "c.txt"
    assert rtsp.sub == "rtsp://192.0.2.1/2"
    assert isinstance(file, FileSettings) and file.path == tmp_path / "a.mp4"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:s3cret@192.0.2.1/1",
        "rtsp://s3cret@192.0.2.1/1",
        "rtsp://192.0.2.1/user=admin_password=s3cret_channel=1",
        "rtsp://192.0.2.1/?user=admin&pwd=s3cret",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    for key in ("url", "sub"):
        other = "sub" if key == "url" else "url"
        with pytest.raises(ConfigError, match="credentials_file") as caught:
            _load(tmp_path, a=f"kind: rtsp, {key}: '{url}', {other}: rtsp://192.0.2.1/2")
        assert "s3cret" not in str(caught.value)


def test_a_place_for_the_password_needs_the_file(tmp_path: Path) -> None:
    url = "url: 'rtsp://192.0.2.1/user={user}_password={password}'"
    with pytest.raises(ConfigError, match="credentials_file"):
        _load(tmp_path, a=f"kind: rtsp, {url}")
    _load(tmp_path, a=f"kind: rtsp, {url}, credentials_file: c.txt")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("kind: rtps, url: rtsp://192.0.2.1/1", "did you mean `rtsp`"),
        ("url: rtsp://192.0.2.1/1", "is missing its `kind:`"),
        ("kind: rtsp, url: http://192.0.2.1/1", "has to start with rtsp://"),
        ("kind: http, url: 'http:///video'", "has to start with http://"),
        ("kind: rtsp, url: 'rtsp://192.0.2.1:port/1'", "is not an address"),
        ("kind: v4l2, device: /dev/video0", "by-id"),
        ("kind: v4l2, device: webcam", "by-id"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _load(tmp_path, a=source)


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert without_secrets("rtsp://u:p@[2001:db8::1]:554/a?key=1#x") == "rtsp://[2001:db8::1]:554/a"
