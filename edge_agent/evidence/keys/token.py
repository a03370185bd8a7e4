"""Private keys in a token that speaks PKCS#11 (OASIS, v2.40): TPM, smart card, secure element.

The key is made inside and never leaves. Data are hashed here, as not every token hashes. Needs
the extra `hsm` (python-pkcs11) and the token's own library.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge_agent.config import Pkcs11
from edge_agent.errors import ConfigError, EvidenceError
from edge_agent.evidence.trust.dsse import low_s

if TYPE_CHECKING:
    from pkcs11 import Session, Token

_TPM = "tpm2-software"
"""Who made the library that stands in front of a TPM (tpm2-pkcs11, CK_INFO.manufacturerID)."""
_ID_BYTES = 8
_P256 = bytes.fromhex("06082a8648ce3d030107")
"""Its object identifier in DER, as CKA_EC_PARAMS names a curve."""


@dataclass
class _Login:
    """A session with the token: opened when first needed, opened again once it was lost."""

    settings: Pkcs11
    facts: dict[str, str] = field(default_factory=dict)
    """Which token it is; filled when it was opened."""
    _session: Session | None = None

    @property
    def where(self) -> str:
        return f"token `{self.settings.token}`"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Raises ConfigError for what was never right, EvidenceError for what went wrong."""
        pkcs11 = _library()
        try:
            self._session = self._session or self._open()
            yield self._session
        except pkcs11.PKCS11Error as error:
            self._session = None
            raise EvidenceError(f"{self.where}: {_words(error)}; is it still there?") from error

    def _open(self) -> Session:
        pkcs11, settings = _library(), self.settings
        pin = _pin(settings.pin_file)
        token = self._token()
        try:
            return token.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            raise ConfigError(
                f"device_key: {self.where} refuses the PIN in {settings.pin_file}; correct it "
                "before the next try: most tokens lock themselves after a few"
            ) from error
        except pkcs11.PinLocked as error:
            raise ConfigError(
                f"device_key: {self.where} is locked after too many wrong PINs; unlock it with "
                "its maker's tool"
            ) from error

    def _token(self) -> Token:
        pkcs11, settings = _library(), self.settings
        try:
            library = pkcs11.lib(str(settings.module))
        except pkcs11.PKCS11Error as error:
            raise ConfigError(
                f"device_key: module {settings.module}: cannot be loaded ({_words(error)}); "
                "install the token's PKCS#11 library or correct the path"
            ) from error
        try:
            token: Token = library.get_token(token_label=settings.token)
        except pkcs11.NoSuchToken as error:
            slots = library.get_slots(token_present=True)
            there = sorted(slot.get_token().label for slot in slots)
            found = ", ".join(f"`{label}`" for label in there if label) or "none"
            raise ConfigError(
                f"device_key: {self.where} is not there (found: {found}); plug it in, set it up "
                "or correct its label"
            ) from error
        is_tpm = library.manufacturer_id.startswith(_TPM)
        self.facts.update(
            algorithm="ES256",
            grade="tpm" if is_tpm else "pkcs11",
            token=" ".join(f"{token.manufacturer_id} {token.model}".split()),
        )
        return token


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key that stays inside; its signatures differ even when what is signed does not."""

    public: ec.EllipticCurvePublicKey
    identity: bytes
    """CKA_ID, which private and public key share."""
    login: _Login = field(repr=False)

    @property
    def facts(self) -> Mapping[str, str]:
        return self.login.facts

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.public

    def sign(self, data: bytes) -> bytes:
        digest = hashlib.sha256(data).digest()
        try:
            raw = self._sign(digest)
        except EvidenceError:
            raw = self._sign(digest)  # the token was reset or plugged in again meanwhile
        half = len(raw) // 2
        r, s = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
        return low_s(encode_dss_signature(r, s))

    def _sign(self, digest: bytes) -> bytes:
        pkcs11 = _library()
        with self.login.session() as session:
            kind, label = pkcs11.ObjectClass.PRIVATE_KEY, self.login.settings.label
            key: Any = session.get_key(object_class=kind, id=self.identity, label=label)
            raw: bytes = key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
            return raw


class TokenKeyring:
    """The key pairs in a token that carry the configured label."""

    def __init__(self, settings: Pkcs11) -> None:
        self._login = _Login(settings)

    @property
    def where(self) -> str:
        return f"{self._login.where}, key `{self._login.settings.label}`"

    def find(self, public: ec.EllipticCurvePublicKey | None) -> TokenKey | None:
        """Raises EvidenceError where several keys have the label and no certificate says which."""
        found = [key for key in self._keys() if public in (None, key.public)]
        if len(found) > 1:
            raise EvidenceError(
                f"{self.where}: there are {len(found)} with this label; put the certificate of "
                "the right one back, or remove the others from the token"
            )
        return found[0] if found else None

    def create(self) -> TokenKey:
        pkcs11, label = _library(), self._login.settings.label
        named, untold = pkcs11.Attribute, pkcs11.constants.DEFAULT
        identity = secrets.token_bytes(_ID_BYTES)
        with self._login.session() as session:
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {named.EC_PARAMS: _P256}, local=True
            )
            public, _ = parameters.generate_keypair(
                id=identity,
                label=label,
                store=True,
                # A TPM does not bear to be told what an EC key cannot do anyway.
                public_template=dict.fromkeys((named.ENCRYPT, named.WRAP), untold),
                private_template=dict.fromkeys((named.DECRYPT, named.UNWRAP), untold),
                capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            )
            return TokenKey(_public(public[named.EC_POINT]), identity, self._login)

    def replace(self, old: ec.EllipticCurvePublicKey, keep: bool) -> None:
        pkcs11 = _library()
        gone = [] if keep else [key for key in self._keys() if key.public == old]
        with self._login.session() as session:
            for key in gone:
                for one in session.get_objects({pkcs11.Attribute.ID: key.identity}):
                    one.destroy()

    def _keys(self) -> list[TokenKey]:
        pkcs11 = _library()
        point, identity = pkcs11.Attribute.EC_POINT, pkcs11.Attribute.ID
        wanted = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC,
            pkcs11.Attribute.EC_PARAMS: _P256,
            pkcs11.Attribute.LABEL: self._login.settings.label,
        }
        with self._login.session() as session:
            return [
                TokenKey(_public(one[point]), one[identity], self._login)
                for one in session.get_objects(wanted)
            ]


def check_token(settings: Pkcs11) -> None:
    """Raise ConfigError or EvidenceError unless the token is there and takes the PIN."""
    with _Login(settings).session():
        pass


def _library() -> ModuleType:
    try:
        return importlib.import_module("pkcs11")
    except ImportError as error:
        raise ConfigError(
            "device_key: pkcs11 needs the extra `hsm`: run `pip install 'edge-agent[hsm]'`"
        ) from error


def _public(wrapped: bytes) -> ec.EllipticCurvePublicKey:
    """From CKA_EC_POINT: an OCTET STRING of at most 127 bytes around the uncompressed point."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), wrapped[2:])


def _pin(path: Path) -> str:
    try:
        mode, pin = path.stat().st_mode, path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not text"
        raise ConfigError(
            f"device_key: pin_file {path}: {why}; write the token's PIN into it, alone"
        ) from error
    if mode & 0o077:
        raise ConfigError(
            f"device_key: pin_file {path}: can be read by others; run `chmod 600 {path}`"
        )
    return pin.strip()


def _words(error: Exception) -> str:
    """What happened: errors of PKCS#11 say it in their class name alone."""
    return str(error) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
