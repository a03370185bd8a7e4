"""The container's bytes are an interface: pinned here, readable everywhere."""

import hashlib
import io
import zipfile

import pytest

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.container import ContainerError, first_member, pack, unpack

MEMBERS = [("manifest.json", b"{}"), ("media/wide.jpg", b"\xff\xd8 not really"), ("empty", b"")]


def test_any_tool_opens_it() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == MEMBERS
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def test_the_form_never_changes() -> None:
    digest = hashlib.sha256(pack(MEMBERS)).hexdigest()
    assert digest == "3dc9a2e33718c043f5c2ac127e54c037993166dca5e46ad8ea753ce0b8104dad"


def test_unpack_reverses_pack() -> None:
    data = pack(MEMBERS)
    assert [(member.name, member.data) for member in unpack(data)] == MEMBERS
    name, start, end = first_member(data[:100])
    assert (name, data[start:end]) == MEMBERS[0]


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a//b", "a/../b", "c:evil", "a\\b", "", "\x01", "x" * 201]
)
def test_names_that_point_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ContainerError):
        unpack(pack([("manifest.json", b"{}"), (name, b"boo")]))


def test_a_name_may_occur_once() -> None:
    with pytest.raises(ContainerError, match="twice") as caught:
        unpack(pack([("a", b"1"), ("a", b"2")]))
    assert caught.value.member == "a"


def test_too_many_files_are_refused() -> None:
    with pytest.raises(ContainerError, match="more than 256"):
        unpack(pack((str(n), b"") for n in range(300)))


def test_something_else_is_told_apart_from_a_damaged_bundle() -> None:
    for data in (b"", b"PK", b"GIF89a" * 20):
        with pytest.raises(ContainerError) as caught:
            unpack(data)
        assert not caught.value.is_bundle
    with pytest.raises(ContainerError, match=r"media/wide.jpg: reaches past the end") as caught:
        unpack(pack(MEMBERS)[:90])
    assert caught.value.is_bundle


def test_what_no_zip_can_hold_is_refused_before_it_is_built() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 31

    with pytest.raises(EvidenceError, match="would exceed 1024 MiB"):
        pack([("media/clip.mp4", Huge())])


def test_members_packed_by_other_means_are_recognised() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}" * 100)
        archive.writestr("extra.txt", b"", zipfile.ZIP_STORED)
    assert [member.data for member in unpack(buffer.getvalue())] == [None, b""]
