"""Who the device is: the key that signs for it, and the certificate that names it.

ES256 because every secure element that these boxes may get does P-256.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.clock import Clock
from edge_agent.config import Pkcs11
from edge_agent.errors import EvidenceError
from edge_agent.evidence.keys.certificate import read_certificate, self_signed
from edge_agent.evidence.keys.file import FileKeyring
from edge_agent.evidence.keys.token import TokenKeyring
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust.revocation import own_revocation
from edge_agent.ports import Keyring, SigningKey


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """Signs in the device's name."""

    key: SigningKey
    chain_pem: bytes
    """The device's certificate, then its issuers if it has any."""
    fingerprint: str
    """SHA-256 (hex) of the device certificate in DER."""
    certificate: Path
    """Where the certificate lies, for whoever has to trust it."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What `device.json` says of the key: `algorithm`, `grade`, and which token it is in."""
        return self.key.facts

    def sign(self, data: bytes) -> bytes:
        """ES256 over `data`: ASN.1 DER, low s; a key in a file repeats it, a token does not."""
        return self.key.sign(data)

    @classmethod
    def load_or_create(
        cls, state_dir: Path, device: str, clock: Clock, token: Pkcs11 | None = None
    ) -> DeviceKey:
        """The device's key, in `state_dir/device` or in a token; made on first use.

        An existing one is never overwritten; processes that race for the first use end with the
        same key. Raises EvidenceError for a key that is readable by others, damaged, of another
        kind or revoked, a token that cannot be used, and for a certificate of another key or
        device.
        """
        return Home.of(state_dir, device, token).load_or_create(clock)

    @classmethod
    def for_replays(
        cls, state_dir: Path, device: str, clock: Clock, token: Pkcs11 | None = None
    ) -> DeviceKey:
        """What signs replays: the device's own key, provided that it lies in a file.

        A token never signs the same bytes twice, and two replays must not differ. Nor should it
        vouch for a recording. So where there is a token, replays are signed with a key in a file
        of their own, of the grade `replay`; the token need not even be there.
        """
        if token is None:
            return cls.load_or_create(state_dir, device, clock)
        folder = state_dir / device
        home = Home(folder, device, "replay", FileKeyring(folder, "replay", "replay"))
        return home.load_or_create(clock)


@dataclass(frozen=True, slots=True)
class Home:
    """Where an identity is kept: the certificate in a folder, the key there or in a token."""

    folder: Path
    device: str
    stem: str
    ring: Keyring
    former: Keyring | None = None
    """Where the key was before the device got a token."""

    @classmethod
    def of(cls, state_dir: Path, device: str, token: Pkcs11 | None) -> Home:
        """The device's own."""
        folder = state_dir / device
        files = FileKeyring(folder, "device", "file")
        if token is None:
            return cls(folder, device, "device", files)
        return cls(folder, device, "device", TokenKeyring(token), files)

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.stem}-cert.pem"

    @property
    def revocation(self) -> Path:
        """The list that names the certificate, once it has been revoked."""
        return self.folder / f"{self.stem}.crl"

    def load_or_create(self, clock: Clock) -> DeviceKey:
        """See `DeviceKey.load_or_create`."""
        if not self.certificate.exists():
            with self.locked():
                if not self.certificate.exists():
                    key = self.ring.find(None) or self.ring.create()
                    write_whole(self.certificate, self_signed(key, self.device, clock.now()))
        return self.load()

    def load(self, even_revoked: bool = False) -> DeviceKey:
        """The identity that is there; raises EvidenceError."""
        try:
            pem, chain = read_certificate(self.certificate)
        except EvidenceError:
            if self.former is None and self.ring.find(None) is None:
                raise self._missing() from None
            raise
        key = self.ring.find(chain.key)
        if key is None:
            raise self._orphan(chain.key)
        if chain.name != self.device:
            raise EvidenceError(
                f"{self.certificate}: names {chain.name}, but the site file names {self.device}; "
                "install a certificate for this device, or remove it to have one made"
            )
        if not even_revoked and own_revocation(self.revocation, chain) is not None:
            raise EvidenceError(
                f"{self.certificate}: was revoked ({self.revocation.name}); "
                "run `edge-agent key rotate` to give this device a new key"
            )
        return DeviceKey(key, pem, chain.fingerprint, self.certificate)

    def before(self) -> Home:
        """The same identity while its key is still in a file, though there is a token by now."""
        public = read_certificate(self.certificate)[1].key
        former = self.former
        if former is None or self.ring.find(public) is not None or former.find(public) is None:
            return self
        return replace(self, ring=former, former=None)

    def _orphan(self, public: ec.EllipticCurvePublicKey) -> EvidenceError:
        if self.former is not None and self.former.find(public) is not None:
            return EvidenceError(
                f"{self.certificate}: is for the key in {self.former.where}; "
                f"run `edge-agent key rotate` to give the device one in {self.ring.where}"
            )
        if self.ring.find(None) is None:
            return self._missing()
        return EvidenceError(
            f"{self.certificate}: is a certificate for another key than {self.ring.where}; "
            "restore the one that belongs to the key, or remove it to have it made again"
        )

    def _missing(self) -> EvidenceError:
        return EvidenceError(
            f"{self.ring.where}: is missing, but {self.certificate} belongs to some key; "
            "restore the key, or remove the certificate to give this device a new identity"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from changing key or certificate meanwhile."""
        make_folder(self.folder, 0o700)
        path = self.folder / ".device-key.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise cannot(path, "be written", error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
