"""The unit files by systemd's own judgement, without starting anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
DROP_INS = sorted((ROOT / "firmware_config").rglob("*.service.d/*.conf"))
MAX_EXPOSURE = 2.0
NAMES = [path.name for path in UNITS]

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="SYSTEMD-ANALYZE ABSENT: no systemd here"
)


def _analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


def _runnable(unit: Path, folder: Path) -> Path:
    """The same unit with programs that exist on this machine."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace("/opt/edge-agent/venv/bin/edge-agent", "/bin/true"))
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_exposes_little(unit: Path) -> None:
    threshold = f"--threshold={10 * MAX_EXPOSURE:.0f}"
    done = _analyze("security", "--offline=true", threshold, unit)
    assert done.returncode == 0, done.stdout[-600:]


@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_systemd_has_nothing_to_say(unit: Path, tmp_path: Path) -> None:
    """`verify` exits 0 on unknown keys: what it says is what counts."""
    done = _analyze("verify", "--man=no", _runnable(unit, tmp_path))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say_of_drop_ins(drop_in: Path, tmp_path: Path) -> None:
    unit = ROOT / "systemd" / drop_in.parent.name.removesuffix(".d")
    joined = _runnable(unit, tmp_path)
    joined.write_text(f"{joined.read_text()}\n{drop_in.read_text()}")
    done = _analyze("verify", "--man=no", joined)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_spoilt_unit_is_noticed(tmp_path: Path) -> None:
    unit = _runnable(ROOT / "systemd/edge-agent.service", tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchdogSecs"))
    assert "Unknown key" in _analyze("verify", "--man=no", unit).stderr
    open_unit = unit.read_text().replace("CapabilityBoundingSet=\n", "")
    unit.write_text(open_unit.replace("User=edge-agent\n", ""))
    assert _analyze("security", "--offline=true", "--threshold=20", unit).returncode == 1


@pytest.mark.parametrize("tool", ["sysusers", "tmpfiles"])
def test_users_and_folders_are_understood(tool: str, tmp_path: Path) -> None:
    program, flags = f"systemd-{tool}", ["--create"] if tool == "tmpfiles" else []
    if shutil.which(program) is None:
        pytest.skip(f"{program.upper()} ABSENT")
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).write_text("edge-agent:x:900:\n" if name == "group" else "")
    file = ROOT / "systemd" / f"edge-agent.{tool}.conf"
    command = [program, *flags, f"--root={tmp_path}", "--replace=/etc/x.conf", str(file)]
    command = [part for part in command if tool == "sysusers" or "replace" not in part]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if tool == "sysusers":
        assert "edge-agent" in (tmp_path / "etc/passwd").read_text()
    else:
        assert (tmp_path / "etc/edge-agent/secrets").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--help"], 0, "--board"),
        (["--bored"], 2, "Usage"),
        (["--board", "pi9"], 1, "pi4, pi5, jetson-orin"),
        (["--root", "{}"], 1, "--no-program"),
    ],
)
def test_the_installer_says_what_it_wants(
    options: list[str], status: int, words: str, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("INSTALLER NEEDS ROOT")
    given = [option.format(tmp_path) for option in options]
    done = subprocess.run(
        [ROOT / "tools/install_service.sh", *given], capture_output=True, text=True, check=False
    )
    assert (done.returncode, words in done.stdout + done.stderr) == (status, True)
    assert not list(tmp_path.iterdir())
