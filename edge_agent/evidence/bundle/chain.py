"""The chain of bundles: each names the manifest before it, so none can go missing unnoticed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import tombstone
from edge_agent.evidence.bundle.container import first_member
from edge_agent.evidence.bundle.manifest import Manifest, Sha256
from edge_agent.evidence.bundle.register import Known, Link, Register, stamps
from edge_agent.evidence.staging import cannot, write_whole

log = logging.getLogger(__name__)

STATE_FILE = "chain.json"
SUFFIX, GRAVES = ".evb", tombstone.SUFFIX
MAX_MANIFEST = 1 << 22
_HEAD = 512


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    origin: str
    index: int
    manifest_sha256: Sha256


class Chain:
    """Knows the newest link of the bundles in one folder.

    `chain.json` is written after each bundle. Killed between the two, or left without it, the
    chain continues from the bundles themselves: the highest index wins. What has not been touched
    since an earlier start is not read again (see `register`), the newest bundle excepted.
    """

    def __init__(self, folder: Path, origin: str, is_kept: bool = True) -> None:
        """A folder that is not kept (a replay's) gets no register."""
        self.origin = origin
        self._folder = folder
        self._state = folder / STATE_FILE
        self._links: dict[str, Link] = {}
        self.head: Link | None = self._stored()
        known = Register.read(folder, origin).files if is_kept else {}
        found = self._survey(known)
        if known and not self._is_newest_true():
            log.warning("register is wrong: every bundle is read", extra={"path": str(folder)})
            self._links, self.head = {}, self._stored()
            found = self._survey({})
        if is_kept and found != known:
            Register(origin=origin, files=found).write(folder)

    def store_register(self) -> None:
        """Spare the next start the reading of what was written since this one."""
        files = dict(self._graves)
        for name, stamp in stamps(self._folder, SUFFIX):
            case = name.removesuffix(SUFFIX)
            if case in self._links:
                files[name] = Known(stamp, case, self._links[case])
        Register(origin=self.origin, files=files).write(self._folder)

    def entries(self) -> set[int]:
        """Which entries of the log the bundles in the folder are."""
        there = {name.removesuffix(SUFFIX) for name, _ in stamps(self._folder, SUFFIX)}
        return {
            link.entry
            for case, link in self._links.items()
            if case in there and link.entry is not None
        }

    def link_of(self, case_id: str) -> Link | None:
        """Where the latest revision of a case stands, if this chain holds one."""
        return self._links.get(case_id)

    def newest(self, count: int) -> list[tuple[str, Link]]:
        """The cases that were written last, in the order in which they were."""
        links = sorted(self._links.items(), key=lambda item: item[1].index)
        return links[-count:]

    def next_index(self) -> int:
        """Index of the bundle to come."""
        return 0 if self.head is None else self.head.index + 1

    def append(self, case_id: str, link: Link) -> None:
        """Take note of a bundle that is safely on the disk."""
        self.head = self._links[case_id] = link
        state = _State(origin=self.origin, index=link.index, manifest_sha256=link.manifest_sha256)
        try:
            write_whole(self._state, rfc8785.dumps(state.model_dump()))
        except EvidenceError as error:
            # Not lost: the bundle itself says where it stands, and the next start reads it.
            log.warning("chain state not stored", extra={"why": str(error)})

    def restart(self) -> None:
        """Forget what the folder holds: the next bundle is number 0 again."""
        self.head = None
        self._links.clear()
        try:
            self._state.unlink(missing_ok=True)
        except OSError as error:
            raise cannot(self._state, "be removed", error) from error

    def _stored(self) -> Link | None:
        try:
            state = _State.model_validate_json(self._state.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            why = "damaged" if isinstance(error, ValidationError) else str(error)
            log.warning(
                "chain state unreadable, the bundles are asked instead",
                extra={"path": str(self._state), "why": why},
            )
            return None
        return Link(state.index, state.manifest_sha256) if state.origin == self.origin else None

    def _survey(self, known: Mapping[str, Known]) -> dict[str, Known]:
        """Take note of every bundle and every tombstone; returns what they are."""
        bundles = self._read(self._folder, SUFFIX, known, self._adopt)
        self._graves = self._read(self._folder / tombstone.FOLDER, GRAVES, known, self._bury)
        found = {**bundles, **self._graves}
        for each in found.values():
            if each.link is not None:
                self._advance(each.link)
                if each.case is not None:
                    self._links[each.case] = each.link
        return found

    @staticmethod
    def _read(
        folder: Path,
        ending: str,
        known: Mapping[str, Known],
        read: Callable[[Path, str], Known | None],
    ) -> dict[str, Known]:
        """What the files are; those are read that are not known, or were touched since."""
        found = {}
        for name, stamp in stamps(folder, ending):
            told = known.get(name)
            if told is None or told.stamp != stamp:
                told = read(folder / name, stamp)
            if told is not None:  # a damaged one is told of at every start
                found[name] = told
        return found

    def _is_newest_true(self) -> bool:
        """True when the newest bundle's own manifest says what the register says of it."""
        for case, link in self.newest(1):
            found = self._adopt(self._folder / f"{case}{SUFFIX}", "")
            return found is not None and found.link == link
        return True

    def _adopt(self, path: Path, stamp: str) -> Known | None:
        try:
            text = manifest_bytes(path)
            manifest = Manifest.from_bytes(text)
        except (OSError, ValueError, EvidenceError) as error:
            log.warning("bundle unreadable", extra={"path": str(path), "why": str(error)})
            return None
        if manifest.chain.origin != self.origin:
            return Known(stamp)
        entry = None if manifest.log is None else manifest.log.index
        link = Link(manifest.chain.index, hashlib.sha256(text).hexdigest(), entry)
        return Known(stamp, manifest.case.id, link)

    def _bury(self, path: Path, stamp: str) -> Known | None:
        """The place of a deleted bundle is not given to another one."""
        try:
            grave, _ = tombstone.read(path)
        except EvidenceError as error:
            log.warning("tombstone unreadable", extra={"why": str(error)})
            return None
        if grave.chain.origin != self.origin:
            return Known(stamp)
        return Known(stamp, None, Link(grave.chain.index, grave.manifest_sha256))

    def _advance(self, link: Link) -> None:
        if self.head is None or link.index > self.head.index:
            self.head = link


def manifest_bytes(path: Path) -> bytes:
    """The manifest of a bundle without reading the rest; raises OSError or EvidenceError."""
    with path.open("rb") as file:
        name, start, end = first_member(file.read(_HEAD))
        if name != "manifest.json" or end - start > MAX_MANIFEST:
            raise EvidenceError(f"{path}: does not begin with a manifest")
        file.seek(start)
        return file.read(end - start)
