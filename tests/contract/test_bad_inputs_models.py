"""Bad models and keys: one message that names the file and the command or step that helps."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

Outcome = subprocess.CompletedProcess[str]
Outcomes = dict[str, Outcome]

NO_NETWORK = b"not a network " * 100
SITE = """
site: {{name: bad-inputs}}
device: box
{place}
cameras:
  north:
    detector: {{model: {model}}}
"""
INPUT = {"width": 352, "height": 352, "colour": "bgr", "resize": "stretch"}


def card(name: str, weights: bytes, **changes: Any) -> str:
    values: dict[str, Any] = {
        "name": name,
        "file": f"{name}.onnx",
        "licence": "none",
        "source_note": "made for a test",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
        "input": INPUT,
        "decoder": "fastestdet",
        "min_score": 0.5,
        "classes": {2: "car"},
    }
    return yaml.safe_dump(values | changes)


ADDRESS = {"source": "https://example.org/a.onnx"}
CARDS: dict[str, tuple[str | None, bytes | None, tuple[str, ...]]] = {
    "unknown": (None, None, ("no card unknown.yaml", "known models: motion", "models add FILE")),
    "no-weights": (
        card("no-weights", NO_NETWORK, **ADDRESS),
        None,
        ("no-weights.onnx is in none of", "edge-agent models pull no-weights"),
    ),
    "by-hand": (card("by-hand", NO_NETWORK), None, ("cannot be downloaded", "EDGE_AGENT_MODELS")),
    "cut-off": (
        card("cut-off", NO_NETWORK, **ADDRESS),
        NO_NETWORK[:100],
        ("is not the file that the card describes", "sha256", "models pull cut-off"),
    ),
    "no-network": (
        card("no-network", NO_NETWORK),
        NO_NETWORK,
        ("no-network.onnx", "expected an ONNX file", "models add"),
    ),
    "no-yaml": ("{{{", None, ("no-yaml.yaml", "is not valid YAML")),
    "deep": ("[" * 100_000, None, ("deep.yaml", "is not valid YAML")),
    "escape": ('name: "\\UFFFFFFFF"', None, ("escape.yaml", "is not valid YAML")),
    "no-keys": ("- a", None, ("no-keys.yaml", "expected keys and values")),
    "no-scale": (
        card("no-scale", NO_NETWORK, input=INPUT | {"std": [0.0, 1.0, 1.0]}),
        None,
        ("no-scale.yaml", "input.std.0", "greater than 0"),
    ),
    "pipe": (None, None, ("no card pipe.yaml", "known models: motion")),
}
"""Model name -> its card, its weights, and what has to be said of it."""

PULLS = {
    "pull-by-hand": ("cannot be downloaded", "made for a test"),
    "pull-unknown": ("no card pull-unknown.yaml", "known models: motion"),
    "pull-refused": ("http://127.0.0.1:1/", "Connection refused", "models pull", "again"),
    "pull-no-address": ("http://[oops/", "Invalid IPv6", "0 of 1400 bytes are kept"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, (text, weights, _) in CARDS.items():
        if text is not None:
            (folder / f"{name}.yaml").write_text(text)
        if weights is not None:
            (folder / f"{name}.onnx").write_bytes(weights)
    os.mkfifo(folder / "pipe.yaml")
    return folder


def site(folder: Path, model: str, place: str) -> Path:
    path = folder / f"site-{model}.yml"
    path.write_text(SITE.format(model=model, place=place))
    return path


@pytest.fixture(scope="module")
def checks(folder: Path, run_all: Callable[..., Outcomes], environment: dict[str, str]) -> Outcomes:
    cache = Path(environment["XDG_CACHE_HOME"]) / "edge-agent" / "models"
    cache.mkdir(parents=True, exist_ok=True)
    addresses = {"pull-refused": "http://127.0.0.1:1/", "pull-no-address": "http://[oops/"}
    cards = [cache / f"{name}.yaml" for name in ("pull-by-hand", *addresses)]
    for path in cards:
        source = {"source": addresses[path.stem]} if path.stem in addresses else {}
        path.write_text(card(path.stem, NO_NETWORK, **source))
    (folder / "mine.onnx").write_bytes(NO_NETWORK)
    place = f"models_dir: {folder}"
    commands: dict[str, tuple[object, ...]] = {
        name: ("check", "--config", site(folder, name, place)) for name in CARDS
    }
    commands |= {name: ("models", "pull", name) for name in PULLS}
    commands |= {"add": ("models", "add", folder / "mine.onnx")}
    outcomes = run_all(commands)
    for path in cards:
        path.unlink()
    return outcomes


@pytest.mark.parametrize("name", CARDS)
def test_model(checks: Outcomes, refused: Callable[..., None], name: str) -> None:
    place = ":7: cameras.north.detector.model: " if name != "no-network" else ""
    refused(checks[name], 78, name, place, *CARDS[name][2])


@pytest.mark.parametrize("name", PULLS)
def test_pull(checks: Outcomes, refused: Callable[..., None], name: str) -> None:
    status = 69 if name == "pull-refused" else 78
    refused(checks[name], status, name, *PULLS[name])


def test_add(checks: Outcomes, refused: Callable[..., None]) -> None:
    refused(checks["add"], 78, "mine.onnx", "expected an ONNX file")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder": "no-such"}, ("decoder: expected one of yolox", "got 'no-such'")),
        ({"decoder": "yolov8"}, ("decoder 'yolov8' does not fit", "correct `decoder`")),
        (
            {"input": INPUT | {"width": 64, "height": 64}},
            ("(1, 3, 64, 64)", "takes (1, 3, 352, 352)", "correct `input`"),
        ),
    ],
)
def test_card_that_does_not_fit_its_network(
    *,
    edge_agent: Callable[..., Outcome],
    refused: Callable[..., None],
    shared: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    weights = (shared / "models" / "FastestDet.onnx").read_bytes()
    (tmp_path / "mine.onnx").write_bytes(weights)
    (tmp_path / "mine.yaml").write_text(card("mine", weights, **changes))
    path = site(tmp_path, "mine", f"models_dir: {tmp_path}")
    refused(edge_agent("check", "--config", path), 78, "model card mine", *words)


def pem(key: PrivateKeyTypes, password: bytes | None = None) -> bytes:
    secrecy = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(*form, secrecy)


EC = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, tuple[bytes | None, int, tuple[str, ...]]] = {
    "garbage": (b"garbage", 0o600, ("is not a private key in PEM form", "restore it")),
    "empty": (b"", 0o600, ("is not a private key in PEM form", "restore it")),
    "open": (pem(EC), 0o644, ("can be read by others", "chmod 600")),
    "encrypted": (pem(EC, b"secret"), 0o600, ("is encrypted", "openssl pkcs8 -topk8 -nocrypt")),
    "rsa": (
        pem(rsa.generate_private_key(65537, 2048)),
        0o600,
        ("expected an EC key on the curve P-256",),
    ),
    "gone": (None, 0o600, ("is missing", "device-cert.pem", "restore the key")),
    "pipe": (None, 0o600, ("not a regular file",)),
}
"""What lies where the device key should; `gone` and `pipe` also find a certificate."""


@pytest.fixture(scope="module")
def replays(
    folder: Path, make_video: Callable[..., Path], run_all: Callable[..., Outcomes]
) -> Outcomes:
    video = make_video(folder / "street.mp4", 20, fps=10)
    (folder / "state-a-file").touch()
    commands: dict[str, tuple[object, ...]] = {}
    for name in [*KEYS, "a-file"]:
        state = folder / f"state-{name}" / "box"
        path = site(folder, "motion", f"state_dir: {state.parent}").rename(
            folder / f"key-{name}.yml"
        )
        commands[name] = ("replay", video, "--config", path, "--out", folder / f"out-{name}")
        if name not in KEYS:
            continue
        state.mkdir(mode=0o700, parents=True)
        data, mode, _ = KEYS[name]
        if name == "pipe":
            os.mkfifo(state / "device-key.pem", mode)
        if data is None:
            (state / "device-cert.pem").write_text("certificate")
        else:
            (state / "device-key.pem").write_bytes(data)
            (state / "device-key.pem").chmod(mode)
    return run_all(commands)


@pytest.mark.parametrize("name", KEYS)
def test_device_key(
    replays: Outcomes, refused: Callable[..., None], folder: Path, name: str
) -> None:
    path = folder / f"state-{name}" / "box" / "device-key.pem"
    refused(replays[name], 1, str(path), *KEYS[name][2])
    assert not (folder / f"out-{name}").exists()
    data = KEYS[name][0]
    assert data is None or path.read_bytes() == data


def test_state_folder_is_a_file(
    replays: Outcomes, refused: Callable[..., None], folder: Path
) -> None:
    refused(replays["a-file"], 1, str(folder / "state-a-file"), "cannot be made a folder")


def test_state_folder_that_cannot_be_written(
    environment: dict[str, str], refused: Callable[..., None], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    path = site(tmp_path, "motion", f"state_dir: {tmp_path / 'state'}")
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    video = shutil.copy(folder / "street.mp4", tmp_path)
    command = [*powerless, sys.executable, "-m", "edge_agent", "replay", video]
    rest = ["--config", str(path), "--out", str(tmp_path / "out")]
    outcome = subprocess.run(
        [*command, *rest], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    refused(outcome, 1, str(tmp_path / "state"), "Permission denied", "check who owns the folder")
