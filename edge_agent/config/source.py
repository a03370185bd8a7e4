"""Where a camera's live pictures come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from edge_agent.config.base import Settings

_SECRET = re.compile(r"(?i)(?<![a-z])(password|passwd|pwd|pass)=(?!\{password\})[^&/?;]")
Side = Annotated[int, Field(ge=64, le=8192)]
Size = tuple[Side, Side]
"""Width, height in px."""


class LiveSettings(Settings):
    """What all live cameras have in common."""

    stall_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """A camera that has sent nothing for so long is lost, and connected to anew."""
    clip_memory_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    """The camera's packets that clips are cut from may take so much; the oldest give way."""


class NetworkSettings(LiveSettings):
    """A camera with an address."""

    url: str
    credentials_file: Path | None = None
    """Holds `user:password`, or the user on one line and the password on the next."""
    sub: str | None = None
    """Address of the camera's small stream: it is what detection looks at, evidence stays large."""

    @model_validator(mode="after")
    def _are_addresses(self) -> NetworkSettings:
        # Checked as a whole: a complaint about one value would quote it, password and all.
        schemes = _SCHEMES[type(self).__name__]
        for name, url in (("url", self.url), ("sub", self.sub)):
            if url is not None:
                _check_address(name, url, schemes)
        has_place = any("{password}" in url for url in (self.url, self.sub or ""))
        if has_place and self.credentials_file is None:
            raise ValueError("`{password}` stands for what is in `credentials_file`: name that")
        return self

    @property
    def shown(self) -> str:
        """The address without anything that could be secret, for logs and evidence."""
        return without_secrets(self.url)


class RtspSettings(NetworkSettings):
    """An IP camera over RTSP."""

    kind: Literal["rtsp"]
    transport: Literal["tcp", "udp"] = "tcp"
    """`udp` loses packets instead of time; not every network lets it through."""


class HttpSettings(NetworkSettings):
    """MJPEG, MPEG-TS or FLV over HTTP."""

    kind: Literal["http"]


class V4l2Settings(LiveSettings):
    """A USB camera, or whatever else the kernel shows as a video device."""

    kind: Literal["v4l2"]
    device: str
    """Under its stable name, e.g. /dev/v4l/by-id/usb-046d_HD_Webcam-video-index0."""
    size: Size = (1280, 720)
    fps: Annotated[float, Field(gt=0, le=240)] = 15.0
    pixels: Literal["mjpg", "raw"] = "mjpg"
    """`mjpg` are the camera's own JPEGs, `raw` what it delivers otherwise: without clips."""

    @field_validator("device")
    @classmethod
    def _is_stable(cls, value: str) -> str:
        if not value.startswith("/dev/") or ".." in value:
            raise ValueError("expected a device such as /dev/v4l/by-id/usb-...-video-index0")
        if re.fullmatch(r"/dev/video\d*", value):
            raise ValueError(
                "the kernel numbers cameras anew at every start: give the name that "
                "`ls -l /dev/v4l/by-id /dev/v4l/by-path` shows for it"
            )
        return value


class PicameraSettings(LiveSettings):
    """A camera on the Raspberry Pi's own connector (needs the extra `pi`)."""

    kind: Literal["picamera"]
    number: Annotated[int, Field(ge=0, le=7)] = 0
    """Which one, as `rpicam-hello --list-cameras` counts them."""
    size: Size = (1920, 1080)
    sub_size: Size | None = (640, 360)
    """Of the pictures that detection looks at; null looks at the large ones."""
    fps: Annotated[float, Field(gt=0, le=120)] = 15.0
    bitrate_mbps: Annotated[float, Field(gt=0, le=25)] = 6.0
    """Of the H.264 that clips and evidence photos are made of."""

    @field_validator("sub_size")
    @classmethod
    def _fits(cls, value: Size | None) -> Size | None:
        if value is not None and (value[0] % 64 or value[1] % 2):
            raise ValueError("the camera makes small pictures a multiple of 64 px wide: 640x360")
        return value


class FileSettings(LiveSettings):
    """A recording that is played as if it were live, for trials."""

    kind: Literal["file"]
    path: Path
    sub_path: Path | None = None
    """The same recording made small."""
    loop: bool = False
    """Start again at its end; otherwise the camera is lost there."""


SourceSettings = Annotated[
    RtspSettings | HttpSettings | V4l2Settings | PicameraSettings | FileSettings,
    Field(discriminator="kind"),
]

_SCHEMES = {"RtspSettings": ("rtsp", "rtsps"), "HttpSettings": ("http", "https")}


def without_secrets(url: str) -> str:
    """Scheme, host, port and path; what follows may be anything."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_address(name: str, url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        raise ValueError(
            f"`{name}` is not an address: write e.g. {schemes[0]}://192.0.2.10/1"
        ) from (None)
    if parts.scheme not in schemes or not has_host:
        raise ValueError(f"`{name}` has to start with {schemes[0]}:// and the camera's address")
    if "@" in parts.netloc or _SECRET.search(url):
        raise ValueError(
            f"`{name}` holds a user or a password: write `user:password` into a file that only "
            "the service can read, name it as `credentials_file`, and leave them out here; where "
            "the camera wants them inside the address, write {user} and {password} there"
        )
