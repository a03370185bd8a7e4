"""What goes onto a box beside the service: every file by the tool that will read it, or its rules.

A start on the real board is not replaced by this.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "firmware_config"
BOOT = sorted(ROOT.glob("*/boot/firmware/*.txt"))
LINE_LIMIT = 98
"""The firmware ignores what comes after it (raspberrypi.com, config.txt, "File format")."""
DIRECTIVES = {"camera_auto_detect", "disable_splash", "dtoverlay", "dtparam", "gpio"}
"""Of those that the documentation of config.txt names, the ones in use; others are refused."""
BASE_PARAMETERS = {
    "watchdog": ("on", "off"),
    "i2c_arm": ("on", "off"),
    "rtc_bbat_vchg": None,
    "strict_gpiod": ("",),
}
"""Of the base device tree (README of the firmware's overlays)."""
TAKEN = {0, 1, 2, 3, 7, 8, 9, 10, 11, 14, 15}
"""HAT identity, I2C, SPI0, serial console."""
MODES = {"op,dl,pd": "out", "ip,pu": "in"}
"""An output that begins high would begin with "no call"."""
PANICS = ("kernel.panic", "kernel.panic_on_oops")
UDEV_KEYS = {
    "SUBSYSTEM",
    "KERNEL",
    "ENV",
    "ATTR",
    "SUBSYSTEMS",
    "ATTRS",
    "SYMLINK",
    "GROUP",
    "MODE",
}
UDEV_PAIR = re.compile(r'\s*([A-Z]+)(\{[A-Za-z_0-9]+\})?(==|!=|\+=|:=|=)"([^"]*)"\s*')


def _settings(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


@pytest.mark.parametrize("path", BOOT, ids=lambda path: path.parts[-4])
def test_boot_firmware_understands_every_line(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert len(line) <= LINE_LIMIT, line
        assert line.isascii(), line
    for name, value in _settings(path):
        assert name in DIRECTIVES, f"{name}: is it in the firmware's documentation?"
        if name == "dtparam":
            parameter, _, state = value.partition("=")
            allowed = BASE_PARAMETERS[parameter]
            assert allowed is None or state in allowed, value


@pytest.mark.parametrize("path", BOOT, ids=lambda path: path.parts[-4])
def test_lines_begin_with_a_call(path: Path) -> None:
    pins: dict[int, str] = {}
    for name, value in _settings(path):
        if name != "gpio":
            continue
        listed, _, mode = value.partition("=")
        for pin in (int(number) for number in listed.split(",")):
            assert pin not in pins, f"GPIO {pin} is set twice"
            assert pin not in TAKEN, f"GPIO {pin} has another task"
            assert 0 <= pin <= 27, f"GPIO {pin} is on no header"
            pins[pin] = MODES[mode]
    assert sorted(set(pins.values())) == ["in", "out"]
    assert ("dtparam", "strict_gpiod") in _settings(path), "or a killed process leaves no call"


@pytest.mark.parametrize("board", ["pi4", "pi5", "jetson-orin"])
def test_every_board_has_a_watchdog(board: str) -> None:
    text = (ROOT / board / "etc/systemd/system.conf.d/edge-agent.conf").read_text()
    (seconds,) = re.findall(r"(?m)^RuntimeWatchdogSec=(\d+)s$", text)
    assert int(seconds) <= (15 if board.startswith("pi") else 255)


def test_udev_rules_are_well_formed() -> None:
    (path,) = ROOT.rglob("*.rules")
    text = path.read_text().replace("\\\n", "")
    for line in (line for line in text.splitlines() if line and line[0] != "#"):
        pairs = re.split(r",(?=\s*[A-Z])", line)
        for pair in pairs:
            found = UDEV_PAIR.fullmatch(pair)
            assert found, f"not understood: {pair}"
            assert found[1] in UDEV_KEYS, pair
            is_match = found[1] not in ("SYMLINK", "GROUP", "MODE")
            assert (found[3] in ("==", "!=")) == is_match, f"assigns or compares? {pair}"


def test_udev_itself_takes_the_rules() -> None:
    """`udevadm verify` came with systemd 254; Debian 12 has 252."""
    command = ["udevadm", "verify", "--resolve-names=never", *map(str, ROOT.rglob("*.rules"))]
    if shutil.which("udevadm") is None:
        pytest.skip("UDEVADM ABSENT")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Unknown command verb" in done.stderr:
        pytest.skip("UDEVADM VERIFY ABSENT: systemd is older than 254")
    assert done.returncode == 0, done.stderr


def test_chrony_takes_its_settings() -> None:
    chronyd = shutil.which("chronyd", path="/usr/sbin:/usr/bin")
    if chronyd is None:
        pytest.skip("CHRONY ABSENT: run tools/install_test_needs.sh")
    (path,) = ROOT.rglob("chrony/conf.d/*.conf")
    done = subprocess.run(
        [chronyd, "-p", "-f", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    servers = re.findall(r"(?m)^server (\S+) .*\bnts\b", path.read_text())
    assert len({name.split(".", 1)[1] for name in servers}) >= 3, "three operators outvote one"


def test_the_kernel_knows_the_settings() -> None:
    (path,) = ROOT.rglob("sysctl.d/*.conf")
    names = [name.strip() for name, _ in _settings(path)]
    assert set(PANICS) <= set(names)
    for name in names:
        assert Path("/proc/sys", *name.split(".")).exists(), name
