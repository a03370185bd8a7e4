"""When evidence was there at the latest, by the word of a time-stamping authority (RFC 3161).

What is stamped is the file `manifest.dsse`, so that the device's signature existed by then. The
answer lies beside it as `time.tsr`; it comes after the signature and is therefore not listed in
the manifest. By hand: `openssl ts -verify -data manifest.dsse -in time.tsr -CAfile root.pem`.
Needs the extra `timestamp` (rfc3161-client).
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography import x509

from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence.bundle import container
from edge_agent.evidence.bundle.container import ContainerError
from edge_agent.evidence.staging import cannot, write_whole
from edge_agent.evidence.trust.certificates import read_roots

SEAL, TOKEN = "manifest.dsse", "time.tsr"
TIMEOUT_S = 30.0
MAX_ANSWER = 1 << 16
"""Bytes; an answer with a chain of certificates has a tenth of it."""

_SHA256 = "2.16.840.1.101.3.4.2.1"
_TROUBLES = (
    *(urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError),
    ValueError,  # an address that urllib cannot take apart
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an authority vouches for."""

    latest: datetime
    """The signature was there by then: the authority's time and its own margin of error."""
    authority: str


def add_timestamp(path: Path, url: str, root: bytes | None = None) -> bool:
    """Have a finished bundle stamped; False when it was already.

    With a `root` (PEM) both the stamp that is there and the new one must lead to it.
    """
    members = _members(path)
    seal = members.get(SEAL)
    if seal is None:
        raise EvidenceError(f"{path}: holds no {SEAL} to stamp: no bundle, or repacked")
    if _is_stamped(members.get(TOKEN) or b"", seal, root):
        return False
    token = ask(url, seal, root)
    members = _members(path)  # its proof may have been renewed while the authority was asked
    if members.get(SEAL) != seal:
        raise EvidenceError(f"{path}: was replaced by a later revision meanwhile; stamp that one")
    write_whole(path, container.pack({**members, TOKEN: token}.items()))
    return True


def ask(url: str, seal: bytes, root: bytes | None = None) -> bytes:
    """Get an authority's answer (DER) to "was this there?"; raises EvidenceError."""
    library = _library()
    request = library.TimestampRequestBuilder(
        data=seal, hash_algorithm=library.HashAlgorithm.SHA256
    ).build()
    answer = _post(url, request.as_bytes())
    try:
        response = _parse(answer)
        if response.tst_info.nonce != request.nonce:
            raise ValueError("answers another question (nonce)")
        _check_imprint(response, seal)
        if root is not None:
            read_stamp(answer, seal, root)
    except ValueError as error:
        raise EvidenceError(f"{url}: the time-stamp {error}; nothing was changed") from error
    return answer


def read_stamp(token: bytes, seal: bytes, root: bytes) -> Stamp:
    """Check a stamp against the authorities (PEM) that are trusted.

    Raises ValueError, which says what is wrong with it. The authority's certificate must have
    been valid when it stamped; what became of it later does not matter here.
    """
    library, response = _library(), _parse(token)
    _check_imprint(response, seal)
    verifier = library.VerifierBuilder(roots=list(read_roots(root))).build()
    verification_error = importlib.import_module("rfc3161_client.errors").VerificationError
    try:
        verifier.verify_message(response, seal)
        return Stamp(_latest(response.tst_info), _signer(response))
    except (verification_error, ValueError, x509.ExtensionNotFound) as error:
        raise ValueError(f"is not by a trusted authority: {_why(error)}") from error


def _members(path: Path) -> dict[str, bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise cannot(path, "be read", error) from error
    try:
        return container.contents(data)
    except ContainerError as error:
        raise EvidenceError(f"{path}: {error}") from error


def _is_stamped(token: bytes, seal: bytes, root: bytes | None) -> bool:
    if not token:
        return False
    try:
        if root is not None:
            read_stamp(token, seal, root)
        _check_imprint(_parse(token), seal)
    except ValueError:
        return False
    return True


def _parse(token: bytes) -> Any:  # noqa: ANN401  (a library that may not be installed)
    try:
        response = _library().decode_timestamp_response(token)
        status = response.status
        if status not in (0, 1):
            reasons = "; ".join(response.status_string) or f"status {status}"
            raise ValueError(f"was refused: {reasons}")
        response.tst_info  # noqa: B018  (raises where there is none)
    except ValueError as error:
        if str(error).startswith("was refused"):
            raise
        raise ValueError("cannot be read: it is no RFC 3161 answer in DER") from error
    return response


def _check_imprint(response: Any, seal: bytes) -> None:  # noqa: ANN401
    imprint = response.tst_info.message_imprint
    if imprint.hash_algorithm.dotted_string != _SHA256:
        raise ValueError("is over another kind of hash than SHA-256")
    if imprint.message != hashlib.sha256(seal).digest():
        raise ValueError(f"is for something else than this {SEAL}")


def _latest(info: Any) -> datetime:  # noqa: ANN401
    accuracy = info.accuracy
    moment: datetime = info.gen_time + _fraction(info)
    if accuracy is None:
        return moment
    return moment + timedelta(
        seconds=accuracy.seconds or 0,
        milliseconds=accuracy.millis or 0,
        microseconds=accuracy.micros or 0,
    )


def _fraction(info: Any) -> timedelta:  # noqa: ANN401
    """What its time has beyond whole seconds, which is all that the library reads."""
    whole = info.gen_time.strftime("%Y%m%d%H%M%S").encode()
    found = re.search(whole + rb"(\.\d+)Z", info.as_bytes())
    return timedelta(seconds=float(found[1])) if found else timedelta(0)


def _signer(response: Any) -> str:  # noqa: ANN401
    signer = next(iter(response.signed_data.signer_infos))
    for der in response.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.serial_number == signer.serial_number:
            return certificate.subject.rfc4514_string()
    return str(signer.issuer.rfc4514_string())


def _post(url: str, body: bytes) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url {url}: is no http(s) address of a time-stamping authority")
    headers = {"Content-Type": "application/timestamp-query", "User-Agent": "edge-agent"}
    try:
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer: bytes = response.read(MAX_ANSWER + 1)
    except _TROUBLES as error:
        raise EvidenceError(
            f"{url}: no time-stamp: {error}; bundles stay as they are, try again later"
        ) from error
    if len(answer) > MAX_ANSWER:
        raise EvidenceError(f"{url}: answers with more than {MAX_ANSWER >> 10} KiB: not a TSA")
    return answer


def _library() -> ModuleType:
    try:
        return importlib.import_module("rfc3161_client")
    except ImportError as error:
        raise EvidenceError(
            "time-stamps need the extra `timestamp`: run `pip install 'edge-agent[timestamp]'`"
        ) from error


def _why(error: Exception) -> str:
    """One sentence of what may be OpenSSL's whole stack of errors."""
    text = str(error).split("\n")[0].rstrip(".")
    if "ErrorStack" not in text:
        return text
    found = re.search(r'Verify error: ([^"]+)', text)
    return found[1] if found else "its signature does not fit"
