"""What forgers do to a bundle, one function per threat, and the codes that name it.

A forger without the device's key packs the container as spotlessly as we would, corrects every
hash that can be corrected, and signs with a key of his own; an insider has the device's keys.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.evidence import DeviceKey
from edge_agent.evidence.bundle.container import contents, pack
from edge_agent.evidence.log import Checkpoint, LogKey, Note, Proof
from edge_agent.evidence.log.note import sign
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.identity import leaf_hash

Members = dict[str, bytes]
Keys = tuple[DeviceKey, DeviceKey, LogKey]
"""The thief's, the device's, and its log's."""
Json = dict[str, Any]
MANIFEST, SEAL, PROOF = "manifest.json", "manifest.dsse", "proof.tlog-proof"


@dataclass(frozen=True)
class Scene:
    """A bundle to tamper with, and what a forger has at hand."""

    members: Members
    other: Members
    """Another genuine bundle of the same device."""
    thief: DeviceKey
    """A key of the forger's own, with a certificate for the same device name."""
    device: DeviceKey
    """The device's own, for what an insider could do."""
    log: LogKey
    """The log's own, likewise."""
    chance: random.Random

    @classmethod
    def of(cls, bundle: bytes, other: bytes, keys: Keys, seed: int) -> Scene:
        """A scene whose chances follow from the seed."""
        return cls(opened(bundle), opened(other), *keys, random.Random(seed))

    def one(self, prefix: str) -> str:
        """Some member whose name begins so."""
        names = [name for name in self.members if name.startswith(prefix)]
        return self.chance.choice(names)

    @property
    def manifest(self) -> Json:
        found: Json = json.loads(self.members[MANIFEST])
        return found

    def rewrite(self, manifest: Json) -> None:
        """Another manifest under the old signature."""
        self.members[MANIFEST] = rfc8785.dumps(manifest)

    def sign(self, manifest: Json, key: DeviceKey) -> None:
        """Another manifest with a signature of its own."""
        self.rewrite(manifest)
        self.members[SEAL] = Envelope.sealed(self.members[MANIFEST], key).to_bytes()

    def fork(self, manifest: Json) -> None:
        """Another manifest, signed by the device and proven in a log made for the purpose."""
        manifest["log"]["index"] = 0
        self.sign(manifest, self.device)
        told = Checkpoint(manifest["log"]["origin"], 1, leaf_hash(self.members[MANIFEST]))
        note = Note(told.text, (self.log.sign(told.text, told.origin),))
        self.members[PROOF] = Proof(0, (), note).to_bytes()


@dataclass(frozen=True)
class Mutation:
    """One way of tampering."""

    threat: str
    """In the words of the list of threats."""
    codes: frozenset[str]
    """What the first finding may be."""
    apply: Callable[[Scene], bytes]


def opened(bundle: bytes) -> Members:
    """The members of a genuine bundle, in order."""
    return contents(bundle)


def pixel(scene: Scene) -> bytes:
    """One bit of a photo or clip."""
    name = scene.one("media/")
    data = bytearray(scene.members[name])
    data[scene.chance.randrange(len(data))] ^= 1 << scene.chance.randrange(8)
    scene.members[name] = bytes(data)
    return pack(scene.members.items())


def pixel_rehashed(scene: Scene) -> bytes:
    """A retouched photo, and the manifest's hash corrected."""
    name = scene.one("media/")
    scene.members[name] = scene.other[scene_photo(scene.other)]
    _rehash(scene, name)
    return pack(scene.members.items())


def metadata(scene: Scene) -> bytes:
    """One value of the manifest: a time, a place, a plate, a reason."""
    manifest = scene.manifest
    change = scene.chance.choice((_move_time, _move_place, _rename_zone, _drop_reasons))
    change(manifest)
    scene.rewrite(manifest)
    return pack(scene.members.items())


def metadata_sealed(scene: Scene) -> bytes:
    """The same, also in the envelope's payload."""
    manifest = scene.manifest
    _move_time(manifest)
    scene.rewrite(manifest)
    envelope = json.loads(scene.members[SEAL])
    envelope["payload"] = base64.b64encode(scene.members[MANIFEST]).decode()
    scene.members[SEAL] = rfc8785.dumps(envelope)
    return pack(scene.members.items())


def role_swap(scene: Scene) -> bytes:
    """Two photos change places."""
    first, second = scene.chance.sample(_photos(scene.members), 2)
    swapped = {first: scene.members[second], second: scene.members[first]}
    scene.members.update(swapped)
    return pack(scene.members.items())


def foreign_photo(scene: Scene) -> bytes:
    """A photo from another case of the same device."""
    name = scene.chance.choice([n for n in _photos(scene.members) if n in scene.other])
    scene.members[name] = scene.other[name]
    return pack(scene.members.items())


def file_removed(scene: Scene) -> bytes:
    """A photo, clip or copy less."""
    del scene.members[scene.one(scene.chance.choice(("media/", "derived/")))]
    return pack(scene.members.items())


def file_added(scene: Scene) -> bytes:
    """A file more, somewhere."""
    folder = scene.chance.choice(("", "media/", "derived/"))
    return pack([*scene.members.items(), (f"{folder}note.txt", b"he was warned")])


def member_order(scene: Scene) -> bytes:
    """The same files in another order."""
    names = list(scene.members)
    i = scene.chance.randrange(2, len(names) - 2)
    names[i], names[i + 1] = names[i + 1], names[i]
    return pack((name, scene.members[name]) for name in names)


def repacked(scene: Scene) -> bytes:
    """Opened and saved by an ordinary ZIP tool."""
    method = scene.chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in scene.members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def cut_short(scene: Scene) -> bytes:
    """A copy that broke off."""
    whole = pack(scene.members.items())
    return whole[: scene.chance.randrange(1, len(whole))]


def hidden_bytes(scene: Scene) -> bytes:
    """Something behind the end."""
    return pack(scene.members.items()) + scene.chance.randbytes(20)


def stripped_signature(scene: Scene) -> bytes:
    """No signature any more."""
    del scene.members[SEAL]
    return pack(scene.members.items())


def foreign_signature(scene: Scene) -> bytes:
    """The signature of another case."""
    ours, theirs = json.loads(scene.members[SEAL]), json.loads(scene.other[SEAL])
    ours["signatures"] = theirs["signatures"]
    scene.members[SEAL] = rfc8785.dumps(ours)
    return pack(scene.members.items())


def foreign_envelope(scene: Scene) -> bytes:
    """Manifest and signature of another case around these photos."""
    scene.members.update({name: scene.other[name] for name in (MANIFEST, SEAL)})
    return pack(scene.members.items())


def thief_signs(scene: Scene) -> bytes:
    """Everything changed at will and signed with another key under the device's name."""
    manifest = scene.manifest
    _move_time(manifest)
    _steal(scene, manifest)
    return pack(scene.members.items())


def cloned(scene: Scene) -> bytes:
    """Untouched, but signed by another box that claims to be this one."""
    _steal(scene, scene.manifest)
    return pack(scene.members.items())


def replay_as_live(scene: Scene) -> bytes:
    """A replay, told to be live and evidential, under a key of the forger's own."""
    manifest = scene.manifest
    manifest["source"].update(kind="live", media_sha256=None)
    manifest.update(evidential=True, reasons=[])
    _steal(scene, manifest)
    return pack(scene.members.items())


def replay_as_live_unsigned(scene: Scene) -> bytes:
    """The same without a new signature."""
    manifest = scene.manifest
    manifest["source"].update(kind="live", media_sha256=None)
    manifest.update(evidential=not manifest["evidential"], reasons=["late"])
    scene.rewrite(manifest)
    return pack(scene.members.items())


def backdated(scene: Scene) -> bytes:
    """The recording is told to have begun a day earlier."""
    manifest = scene.manifest
    manifest["source"]["start"] = "2026-05-12" + manifest["source"]["start"][10:]
    scene.rewrite(manifest)
    return pack(scene.members.items())


def backdated_by_insider(scene: Scene) -> bytes:
    """One photo's time moved by who has the device's key, as if it were of a quieter moment."""
    manifest = scene.manifest
    photos = [item for item in manifest["media"] if item["role"] == "wide"]
    photos[0]["pts_s"] = -1000.0
    scene.fork(manifest)
    return pack(scene.members.items())


def copy_as_original(scene: Scene) -> bytes:
    """The copy that was drawn on takes the original's place."""
    scene.members["media/wide.jpg"] = scene.members["derived/wide-overlay.jpg"]
    return pack(scene.members.items())


def evidential_by_insider(scene: Scene) -> bytes:
    """Told to be evidential although its reasons say otherwise."""
    manifest = scene.manifest
    manifest["evidential"] = not manifest["evidential"]
    scene.fork(manifest)
    return pack(scene.members.items())


def profile_claimed(scene: Scene) -> bytes:
    """Told to be all that a profile asks for, by who has the device's key."""
    manifest = scene.manifest
    manifest["profile"] = "cn-ga832"
    scene.fork(manifest)
    return pack(scene.members.items())


def clock_by_insider(scene: Scene) -> bytes:
    """A recording's time vouched for by a clock that never saw it, by who has the keys."""
    manifest = scene.manifest
    clock = {"ref": "gnss", "synced": True, "max_error_ms": 1, "steps": []}
    manifest["source"]["clock"] = clock
    scene.fork(manifest)
    return pack(scene.members.items())


def shed_by_insider(scene: Scene) -> bytes:
    """A photo that is there, told to have been given up, by who has the keys."""
    manifest = scene.manifest
    manifest["shed"] = {"what": [manifest["media"][0]["role"]], "why": "disk full"}
    scene.fork(manifest)
    return pack(scene.members.items())


def renamed_device(scene: Scene) -> bytes:
    """Claimed by another device, by who has the key of this one."""
    manifest = scene.manifest
    manifest["device"]["id"] = "box-2"
    scene.sign(manifest, scene.device)
    return pack(scene.members.items())


def foreign_certificate(scene: Scene) -> bytes:
    """The certificate of another box."""
    scene.members["chain.pem"] = scene.thief.chain_pem
    return pack(scene.members.items())


def foreign_proof(scene: Scene) -> bytes:
    """The proof of another bundle."""
    scene.members[PROOF] = scene.other[PROOF]
    return pack(scene.members.items())


def stripped_proof(scene: Scene) -> bytes:
    """No proof that it is in the log."""
    del scene.members[PROOF]
    return pack(scene.members.items())


def altered_path(scene: Scene) -> bytes:
    """One hash of the audit path is another, or one is too many."""
    proof = Proof.from_bytes(scene.members[PROOF])
    steps = list(proof.path) or [bytes(32)]
    place = scene.chance.randrange(len(steps))
    steps[place] = scene.chance.randbytes(32)
    scene.members[PROOF] = replace(proof, path=tuple(steps)).to_bytes()
    return pack(scene.members.items())


def altered_checkpoint(scene: Scene) -> bytes:
    """The log is told to be longer than was signed."""
    proof = Proof.from_bytes(scene.members[PROOF])
    longer = replace(proof.checkpoint, size=proof.checkpoint.size + 1 + scene.chance.randrange(9))
    note = Note(longer.text, proof.note.signatures)
    scene.members[PROOF] = replace(proof, note=note).to_bytes()
    return pack(scene.members.items())


def truncated_log(scene: Scene) -> bytes:
    """The bundle's proof under a checkpoint of a log that was cut back before it."""
    proof = Proof.from_bytes(scene.members[PROOF])
    short = replace(proof.checkpoint, size=scene.chance.randrange(proof.index + 1))
    scene.members[PROOF] = replace(
        proof, note=Note(short.text, (scene.log.sign(short.text, short.origin),))
    ).to_bytes()
    return pack(scene.members.items())


def thief_checkpoint(scene: Scene) -> bytes:
    """The true checkpoint, signed by a key that is not the log's."""
    proof = Proof.from_bytes(scene.members[PROOF])
    key = Ed25519PrivateKey.from_private_bytes(scene.chance.randbytes(32))
    signature = sign(proof.note.text, proof.checkpoint.origin, key)
    if scene.chance.random() < 0.5:  # under the true key's id
        signature = replace(signature, key_id=proof.note.signatures[0].key_id)
    note = Note(proof.note.text, (signature,))
    scene.members[PROOF] = replace(proof, note=note).to_bytes()
    return pack(scene.members.items())


def forked_log(scene: Scene) -> bytes:
    """Rewritten by an insider and proven in a second log; only a witness can tell them apart."""
    manifest = scene.manifest
    manifest["case"]["facts"]["note"] = "the driver was warned"
    scene.fork(manifest)
    return pack(scene.members.items())


def rewritten_by_insider(scene: Scene) -> bytes:
    """Rewritten and signed by who has the device's key, but not what the log recorded."""
    manifest = scene.manifest
    manifest["case"]["facts"]["note"] = "the driver was warned"
    scene.sign(manifest, scene.device)
    return pack(scene.members.items())


def _of(threat: str, apply: Callable[[Scene], bytes], *codes: str) -> Mutation:
    return Mutation(threat, frozenset(codes), apply)


MUTATIONS: Mapping[str, Mutation] = MappingProxyType(
    {
        "pixel": _of("alteration of pixels", pixel, "altered"),
        "pixel, rehashed": _of("alteration of pixels", pixel_rehashed, "altered"),
        "metadata": _of("alteration of metadata", metadata, "altered"),
        "metadata, sealed": _of("alteration of metadata", metadata_sealed, "signature"),
        "role swap": _of("substitution", role_swap, "altered"),
        "foreign photo": _of("photo from another case", foreign_photo, "altered"),
        "file removed": _of("file removed", file_removed, "missing"),
        "file added": _of("file added", file_added, "extra", "container"),
        "member order": _of("order", member_order, "container"),
        "repacked": _of("repacked", repacked, "container"),
        "cut short": _of("truncation", cut_short, "container", "unreadable"),
        "hidden bytes": _of("hidden content", hidden_bytes, "container"),
        "stripped signature": _of("stripped signature", stripped_signature, "missing"),
        "foreign signature": _of("foreign signature", foreign_signature, "signature"),
        "foreign envelope": _of("substitution", foreign_envelope, "altered", "missing", "extra"),
        "thief signs": _of("forgery", thief_signs, "certificate"),
        "cloned": _of("cloning", cloned, "certificate"),
        "replay as live": _of("replay passed off as live", replay_as_live, "certificate"),
        "replay as live, unsigned": _of(
            "replay passed off as live", replay_as_live_unsigned, "altered"
        ),
        "backdated": _of("backdating", backdated, "altered"),
        "backdated by insider": _of("backdating", backdated_by_insider, "inconsistent"),
        "copy as original": _of("redacted copy as original", copy_as_original, "altered"),
        "evidential by insider": _of("claims more", evidential_by_insider, "inconsistent"),
        "clock by insider": _of("claims more", clock_by_insider, "inconsistent"),
        "shed by insider": _of("deletion", shed_by_insider, "inconsistent"),
        "profile claimed": _of("profile cheating", profile_claimed, "profile"),
        "rewritten by insider": _of("alteration", rewritten_by_insider, "inclusion"),
        "foreign proof": _of("order", foreign_proof, "leaf"),
        "stripped proof": _of("deletion from the log", stripped_proof, "missing"),
        "altered path": _of("deletion from the log", altered_path, "inclusion"),
        "altered checkpoint": _of("forged log", altered_checkpoint, "inclusion", "checkpoint"),
        "truncated log": _of("truncated log", truncated_log, "inclusion"),
        "thief's checkpoint": _of("forged log", thief_checkpoint, "checkpoint"),
        "renamed device": _of("cloning", renamed_device, "certificate"),
        "foreign certificate": _of("forgery", foreign_certificate, "certificate"),
    }
)


def scene_photo(members: Members) -> str:
    """The first photo of a bundle."""
    return _photos(members)[0]


def _photos(members: Members) -> list[str]:
    return [name for name in members if name.startswith("media/") and name.endswith(".jpg")]


def _steal(scene: Scene, manifest: Json) -> None:
    """Sign as the forger, whose certificate takes the place of the device's."""
    scene.members["chain.pem"] = scene.thief.chain_pem
    manifest["device"]["fingerprint"] = scene.thief.fingerprint
    scene.rewrite(manifest)
    _rehash(scene, "chain.pem")
    scene.sign(scene.manifest, scene.thief)


def _rehash(scene: Scene, name: str) -> None:
    manifest = scene.manifest
    data = scene.members[name]
    for item in (*manifest["media"], *manifest["derived"], *manifest["attached"]):
        if item["path"] == name:
            item.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    scene.rewrite(manifest)


def _move_time(manifest: Json) -> None:
    manifest["case"]["begin"]["utc"] = "2026-05-13T08" + manifest["case"]["begin"]["utc"][13:]


def _move_place(manifest: Json) -> None:
    manifest["site"]["lat"] = 48.1


def _rename_zone(manifest: Json) -> None:
    manifest["case"]["zone"] = "bus-stop"


def _drop_reasons(manifest: Json) -> None:
    manifest.update(reasons=[], evidential=not manifest["evidential"])
