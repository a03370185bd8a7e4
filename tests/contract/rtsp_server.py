"""GStreamer's RTSP server as a camera; runs under the system's Python, which has its bindings.

    python3 rtsp_server.py 8554 '{"main": {"codec": "h264"}, "file": {"path": "/tmp/a.mp4"}}'

Prints `ready`, then takes orders on its standard input: `size main 320 240` changes the picture
size of a running stream, `end main` ends it.
"""

# mypy: ignore-errors
import json
import sys
from typing import Any, TextIO

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

SECRET = "s3:c/r@t %1"
ENCODERS = {
    "h264": "x264enc threads=1 tune=zerolatency speed-preset=ultrafast key-int-max={gop}"
    " bitrate=800 ! video/x-h264,profile=baseline ! rtph264pay",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} ! rtph265pay",
}


def pipeline(stream: dict[str, Any]) -> str:
    if "path" in stream:
        pay = "h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
        return f"( filesrc location={stream['path']} ! qtdemux ! {pay} )"
    width, height = stream.get("size", (320, 240))
    encoder = ENCODERS[stream["codec"]].format(gop=stream.get("gop", 15))
    return (
        "( videotestsrc is-live=true pattern=ball ! videoscale"
        f" ! capsfilter name=caps caps=video/x-raw,format=I420,framerate={stream.get('fps', 15)}/1"
        f",width={width},height={height} ! {encoder} name=pay0 pt=96 config-interval=-1 )"
    )


def protect(server: Any, kind: str) -> None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if kind == "digest":
        auth.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST; the enumeration is in another library
        auth.add_digest("viewer", SECRET, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("viewer", SECRET), token)
    server.set_auth(auth)


def listen(medias: dict[str, Any], channel: TextIO) -> bool:
    order = channel.readline().split()
    if not order:
        sys.exit()
    media = medias[order[1]]
    if order[0] == "size":
        caps = media.get_element().get_by_name("caps")
        text = caps.get_property("caps").to_string()
        kept = [part for part in text.split(",") if "width" not in part and "height" not in part]
        sizes = [f"width={order[2]}", f"height={order[3]}"]
        caps.set_property("caps", Gst.Caps.from_string(",".join(kept + sizes)))
    elif order[0] == "end":
        media.get_element().send_event(Gst.Event.new_eos())
    return True


def main(port: str, streams: dict[str, Any], auth: str | None) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if auth:
        protect(server, auth)
    medias = {}
    for name, stream in streams.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline(stream))
        factory.set_shared(True)
        factory.connect("media-configure", lambda _, media, n=name: medias.update({n: media}))
        if auth:
            factory.add_role_from_structure(
                Gst.Structure.from_string(
                    "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
                )[0]
            )
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    GLib.io_add_watch(
        sys.stdin,
        GLib.PRIORITY_DEFAULT,
        GLib.IO_IN | GLib.IO_HUP,
        lambda *_: listen(medias, sys.stdin),
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
