"""`key` and what verifiers do with its answers, beside a certificate authority run with openssl."""

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.x509.oid import NameOID

from edge_agent.cli import cli
from edge_agent.clock import ManualClock, utc_text
from edge_agent.config import Evidence
from edge_agent.errors import ConfigError, EvidenceError
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo

NOW = datetime.now(UTC).replace(microsecond=0)
LATER = NOW + timedelta(hours=1)
"""When a case happens: certificates that a test makes are valid by then."""
SITE = """\
site: {name: plaza}
device: box-1
state_dir: state
cameras: {c1: {}}
"""
CA = """\
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 365
default_crl_days = 30
policy = anything
copy_extensions = copy
unique_subject = no
[anything]
commonName = supplied
"""


class Operator:
    """An operator's certificate authority."""

    def __init__(self, folder: Path, kind: str = "ec") -> None:
        folder.mkdir()
        self.folder = folder
        self.root = folder / "ca.pem"
        (folder / "ca.cnf").write_text(CA)
        (folder / "index.txt").touch()
        for counter in ("serial", "crlnumber"):
            (folder / counter).write_text("1000\n")
        options = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "rsa": ["rsa:2048"]}
        made = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=Operator CA"]
        self.openssl("req", "-x509", "-newkey", *options[kind], "-nodes", *made)

    def openssl(self, *arguments: object) -> None:
        command = ["openssl", *map(str, arguments)]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def issue(self, request: Path, begin: datetime, end: datetime) -> Path:
        chain = self.folder / "chain.pem"
        dates = ["-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}"]
        output = ["-in", request, "-out", chain, "-notext", "-batch"]
        self.openssl("ca", "-config", "ca.cnf", *output, *dates)
        chain.write_text(chain.read_text() + self.root.read_text())
        return chain

    def revoke(self, chain: Path, since: datetime | None = None) -> Path:
        """A list in PEM; `since`: when the key was compromised."""
        compromised = ["-crl_compromise", f"{since:%Y%m%d%H%M%SZ}"] if since else []
        self.openssl("ca", "-config", "ca.cnf", "-revoke", chain, *compromised)
        return self.list()

    def list(self) -> Path:
        self.openssl("ca", "-config", "ca.cnf", "-gencrl", "-out", "ca.crl")
        return self.folder / "ca.crl"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The site of a box that has had its key for a year."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(NOW - timedelta(days=365)))
    return path


@pytest.fixture(params=["ec"])
def operator(tmp_path: Path, request: pytest.FixtureRequest) -> Operator:
    return Operator(tmp_path / "ca", request.param)


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, args)])


def key(command: str, config: Path, *args: object) -> Any:
    done = run("key", command, *args, "--config", config, "--json")
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def refusal(command: str, config: Path, *args: object) -> str:
    done = run("key", command, *args, "--config", config)
    assert done.exit_code == 1
    assert done.stdout == ""
    return str(done.exception)


def certified(config: Path, operator: Operator, days: Sequence[int] = (-300, 300)) -> Path:
    request = config.with_name("box-1.csr")
    key("csr", config, "--out", request)
    begin, end = (NOW + timedelta(days=n) for n in days)
    return operator.issue(request, begin, end)


def bundle(config: Path, at: datetime = LATER, state: str = "state") -> Path:
    """What the box writes of a live case at that time."""
    device = DeviceKey.load_or_create(config.with_name(state), "box-1", ManualClock(NOW))
    media = Media("camera", "live", None, at, "clock")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    frame = Frame("c1", 120, 12.0, at, ArrayPicture(np.zeros((36, 64, 3), np.uint8)))
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, at, 120, "kerb")
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    case = Case("s1", begin, begin, (photo,), None, False, ("vehicle has not left",))
    folder = config.with_name(f"out-{device.fingerprint[:8]}")
    return Path(BundleWriter(folder, device, origin, Evidence(), {}).write(case, None).path)


def verdict(path: Path, *args: object) -> tuple[str, int, str]:
    """(verdict, exit status, what is wrong)."""
    done = run("evidence", "verify", path, "--json", *args)
    (told,) = json.loads(done.stdout)
    said = "; ".join(finding["text"] for finding in told["findings"])
    return told["verdict"], done.exit_code, said


def test_show_tells_grade_and_validity(config: Path) -> None:
    told = key("show", config)
    assert (told["grade"], told["algorithm"], told["issuer"]) == ("file", "ES256", "itself")
    assert told["valid_until"].startswith("9999-12-31")
    assert told["revoked"] is None
    assert (
        f"fingerprint     {told['fingerprint']}\n" in run("key", "show", "--config", config).stdout
    )


@pytest.mark.parametrize("command", ["show", "rotate", "revoke"])
def test_without_a_key_it_is_said_when_one_is_made(
    config: Path, tmp_path: Path, command: str
) -> None:
    config.write_text(SITE.replace("box-1", "box-2"))
    assert "box-2 has no key yet; it is made on first use" in refusal(command, config)
    assert not (tmp_path / "state" / "box-2").exists()


def test_no_request_is_made_for_a_key_that_is_lost(config: Path) -> None:
    (config.parent / "state/box-1/device-key.pem").unlink()
    assert "restore the key, or remove the certificate" in refusal("csr", config)


@pytest.mark.parametrize("command", ["check", "key show", "key csr"])
def test_a_token_that_cannot_be_used_is_bad_configuration(config: Path, command: str) -> None:
    token = "{pkcs11: {module: absent.so, token: box, pin_file: pin}}"
    config.write_text(f"{SITE}device_key: {token}\n")
    pin = config.with_name("pin")
    done = run(*command.split(), "--config", config)
    assert isinstance(done.exception, ConfigError)
    assert f"pin_file {pin}: No such file" in str(done.exception)
    pin.write_text("1234")
    pin.chmod(0o600)
    done = run(*command.split(), "--config", config)
    assert f"module {config.with_name('absent.so')}: cannot be loaded" in str(done.exception)


def test_a_request_asks_for_what_evidence_and_its_copies_need(config: Path) -> None:
    request = x509.load_pem_x509_csr(key("csr", config)["request"].encode())
    assert request.is_signature_valid
    (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "box-1"
    assert request.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    purposes = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert next(iter(purposes)).dotted_string == "1.3.6.1.5.5.7.3.36"


@pytest.mark.parametrize("operator", ["ec", "rsa"], indirect=True)
def test_an_operator_certifies_the_device(config: Path, operator: Operator) -> None:
    told = key("install", config, certified(config, operator))
    assert told["chain"] == ["CN=box-1", "CN=Operator CA"]
    assert told["issuer"] == "CN=Operator CA"
    path = bundle(config)
    assert verdict(path, "--root", operator.root) == ("valid", 0, "")
    other = Operator(config.with_name("other"))
    assert verdict(path, "--root", other.root)[1] == EXIT_CODES["certificate"]


def test_a_certificate_that_had_expired_at_capture_is_told(
    config: Path, operator: Operator
) -> None:
    key("install", config, certified(config, operator, (-300, 1)))
    late = bundle(config, NOW + timedelta(days=2))
    _, code, said = verdict(late, "--root", operator.root)
    assert code == EXIT_CODES["certificate"]
    assert "was not valid at the time of capture" in said
    assert verdict(bundle(config), "--root", operator.root)[0] == "valid"


@pytest.mark.parametrize(
    ("days", "says"),
    [((-300, -1), "was not valid now"), ((1, 300), "was not valid now")],
    ids=["expired", "not yet"],
)
def test_a_certificate_that_is_not_valid_now_is_not_installed(
    config: Path, operator: Operator, days: Sequence[int], says: str
) -> None:
    before = key("show", config)
    assert says in refusal("install", config, certified(config, operator, days))
    assert key("show", config) == before


def test_a_certificate_for_somebody_else_is_not_installed(
    config: Path, operator: Operator, tmp_path: Path
) -> None:
    chain = certified(config, operator)
    other = tmp_path / "other.yaml"
    other.write_text(SITE.replace("state_dir: state", "state_dir: other"))
    key("csr", other)
    assert "is a certificate for another key" in refusal("install", other, chain)
    other.write_text(SITE.replace("box-1", "box-2"))
    key("csr", other)
    said = refusal("install", other, chain)
    assert "is a certificate for another key; names box-1, not box-2" in said


def test_what_is_no_chain_is_not_installed(config: Path, operator: Operator) -> None:
    device = certified(config, operator).read_text().split("-----END CERTIFICATE-----\n")[0]
    wrong = config.with_name("wrong.pem")
    other = Operator(config.with_name("other"))
    wrong.write_text(device + "-----END CERTIFICATE-----\n" + other.root.read_text())
    assert "its signatures do not form a chain" in refusal("install", config, wrong)
    wrong.write_text("garbage")
    assert "is not a certificate in PEM form" in refusal("install", config, wrong)
    assert "No such file" in refusal("install", config, config.with_name("absent.pem"))


@pytest.mark.parametrize("old", ["keep", "destroy"])
def test_after_a_rotation_old_bundles_stay_valid_and_new_ones_can_be_trusted(
    config: Path, old: str
) -> None:
    root = config.with_name("root.pem")
    root.write_bytes((config.parent / "state/box-1/device-cert.pem").read_bytes())
    before = bundle(config)
    told = key("rotate", config, "--old", old)
    after = bundle(config)
    assert told["fingerprint"] != told["replaces"]
    assert verdict(before, "--root", told["old_certificate"]) == ("valid", 0, "")
    assert verdict(after, "--root", root)[1] == EXIT_CODES["certificate"]
    statement = told["statement"]
    assert verdict(after, "--root", root, "--successor", statement) == ("valid", 0, "")
    assert verdict(before, "--root", root, "--successor", statement) == ("valid", 0, "")
    retired = list((config.parent / "state/box-1/retired").glob("*-key.pem"))
    assert len(retired) == (old == "keep")
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in retired)


def test_successors_are_followed_one_after_the_other(config: Path) -> None:
    root = config.with_name("root.pem")
    root.write_bytes((config.parent / "state/box-1/device-cert.pem").read_bytes())
    first, second = (key("rotate", config)["statement"] for _ in range(2))
    path = bundle(config)
    named = ("--successor", first, "--successor", second)
    assert verdict(path, "--root", root, *named)[0] == "valid"
    done = run("evidence", "verify", path, "--root", root, "--successor", second)
    assert "was not signed by a trusted device" in str(done.exception)
    done = run("evidence", "verify", path, "--successor", first)
    assert "pass that as well" in str(done.exception)
    done = run("evidence", "verify", path, "--root", root, "--successor", config)
    assert "is not a statement about a device's next key" in str(done.exception)


def test_a_rotation_that_was_cut_short_is_completed(config: Path) -> None:
    folder = config.parent / "state/box-1"
    old = (folder / "device-key.pem").read_bytes()
    told = key("rotate", config)
    (folder / "device-key.pem").rename(folder / "device-key-next.pem")
    (folder / "device-key.pem").write_bytes(old)
    (folder / "device-key.pem").chmod(0o600)
    assert key("show", config)["fingerprint"] == told["fingerprint"]
    assert not (folder / "device-key-next.pem").exists()


def test_a_device_revokes_its_own_certificate(config: Path) -> None:
    root = config.parent / "state/box-1/device-cert.pem"
    path = bundle(config)
    told = key("revoke", config, "--since", utc_text(NOW - timedelta(hours=1)))
    crl = ("--crl", told["list"])
    assert verdict(path, "--root", root, *crl)[1] == EXIT_CODES["revoked"] == 25
    assert "was revoked as of" in verdict(path, *crl)[2]
    assert "(key compromise), and nothing proves" in verdict(path, *crl)[2]
    assert told["revoked"].endswith("(key compromise)")
    with pytest.raises(EvidenceError, match=r"was revoked .*edge-agent key rotate"):
        bundle(config)
    shown = subprocess.run(
        ["openssl", "crl", "-in", told["list"], "-noout", "-verify", "-CAfile", root],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "verify OK" in shown.stderr + shown.stdout
    rotated = key("rotate", config)
    assert rotated["statement"] is None
    after = bundle(config)
    assert verdict(after, *crl)[:2] == ("intact", 0)
    said = run("evidence", "verify", after, *crl).stdout
    assert "; no list given is by the issuer of its certificate" in said


def test_a_stolen_key_names_no_successor(config: Path) -> None:
    root = config.with_name("root.pem")
    root.write_bytes((config.parent / "state/box-1/device-cert.pem").read_bytes())
    thief = config.parent / "thief"
    subprocess.run(["cp", "-r", config.parent / "state", thief], check=True)
    crl = key("revoke", config)["list"]
    stolen = config.with_name("stolen.yaml")
    stolen.write_text(SITE.replace("state_dir: state", "state_dir: thief"))
    statement = key("rotate", stolen)["statement"]
    named = ("--root", root, "--successor", statement, "--crl", crl)
    done = run("evidence", "verify", bundle(stolen, state="thief"), *named)
    assert "ask for the new certificate another way" in str(done.exception)


@pytest.mark.parametrize("operator", ["ec", "rsa"], indirect=True)
def test_an_operator_revokes_a_device(config: Path, operator: Operator) -> None:
    chain = certified(config, operator)
    key("install", config, chain)
    path, root = bundle(config), ("--root", operator.root)
    assert verdict(path, *root, "--crl", operator.list()) == ("valid", 0, "")
    said = refusal("revoke", config)
    assert "issued by CN=Operator CA" in said
    assert "ask for the serial number 1000" in said
    assert "does not name this device's certificate" in refusal(
        "revoke", config, "--crl", operator.list()
    )
    crl = operator.revoke(chain, NOW - timedelta(hours=1))
    assert verdict(path, *root, "--crl", crl)[1] == EXIT_CODES["revoked"]
    assert key("revoke", config, "--crl", crl)["revoked"].endswith("(key compromise)")
    der = crl.with_suffix(".der")
    operator.openssl("crl", "-in", crl, "-outform", "DER", "-out", der)
    assert verdict(path, *root, "--crl", der)[1] == EXIT_CODES["revoked"]


def test_a_list_by_somebody_else_tells_nothing(config: Path, operator: Operator) -> None:
    key("install", config, certified(config, operator))
    path, impostor = bundle(config), Operator(config.with_name("impostor"))
    root = ("--root", operator.root)
    _, code, said = verdict(path, *root, "--crl", impostor.list())
    assert code == EXIT_CODES["revoked"]
    assert said.startswith("cannot be checked: none of the given lists")
    both = (*root, "--crl", impostor.list(), "--crl", operator.list())
    assert verdict(path, *both)[0] == "valid"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--crl", "is no certificate revocation list"),
        ("--tsa-root", "is not a certificate in PEM form"),
    ],
)
def test_a_file_of_another_kind_is_named(config: Path, option: str, says: str) -> None:
    done = run("evidence", "verify", bundle(config), option, config)
    assert f"{option} {config}: {says}" in str(done.exception)
    done = run("evidence", "verify", bundle(config), option, "absent")
    assert f"{option} absent: cannot be read" in str(done.exception)
