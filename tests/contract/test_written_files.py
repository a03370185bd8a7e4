"""Nothing but case material is ever written to the disk: every file opened for writing, by name."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from base64 import b64encode
from pathlib import Path

import pytest

from edge_agent.demo import CLIP, SITE

pytestmark = pytest.mark.slow

OPENED = re.compile(
    r'(?:open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", ([A-Z_|]+).*?|creat\("([^"]*)").* = \d+'
)
NAMELESS = re.compile(r"memfd_create|O_TMPFILE")
TO_OUT = (
    r"events\.jsonl",
    r"(replay\.json|log/checkpoint)",
    r"log/tile/\d+/[x\d/]+(\.p/\d+)?",
    r"evidence/chain\.json",
    r"evidence/\.?[0-9a-f]{24}\.evb(\.staged)?",
    r"report\.html(\.tmp)?",
)
"""What a replay may write, hidden names of what is being staged included."""
TO_STATE = (r"[a-z-]+\.(pem|dsse|lock)",)


def _whole(path: str) -> str:
    """`folder/.name.part` is `name` in the making."""
    folder, name = os.path.split(path)
    staged = re.fullmatch(r"\.(.+)\.part", name)
    return os.path.join(
        folder, staged[1] if staged else name.lstrip(".") if "lock" in name else name
    )


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """(results, state, what the system was asked to open) of one replay."""
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing on CI: apt install strace")
        pytest.skip("STRACE ABSENT: install it to run this test")
    folder = tmp_path_factory.mktemp("traced")
    out, state, trace = folder / "out", folder / "state", folder / "trace.txt"
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(state),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    calls = "trace=open,openat,openat2,creat,memfd_create"
    watch = [strace, "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", calls, "-o", str(trace)]
    run = [sys.executable, "-m", "edge_agent", "replay", str(CLIP), "--config", str(SITE)]
    done = subprocess.run(
        [*watch, *run, "--out", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
    )
    if "ptrace" in done.stderr and not out.exists():
        pytest.skip("STRACE FORBIDDEN here: run where processes may be traced")
    assert done.returncode == 0, done.stderr
    return out, state, trace.read_text()


def test_every_file_that_is_opened_for_writing_is_known(traced: tuple[Path, Path, str]) -> None:
    out, state, trace = traced
    written = {
        match[1] or match[3]
        for match in map(OPENED.search, trace.splitlines())
        if match and (match[3] or {"O_WRONLY", "O_RDWR", "O_CREAT"} & set(match[2].split("|")))
    }
    allowed = [re.compile(re.escape(f"{out}/") + each) for each in TO_OUT]
    allowed += [re.compile(re.escape(f"{state}/edge-agent/demo-box/") + each) for each in TO_STATE]
    allowed.append(re.compile(r"/dev/(null|tty)"))
    unknown = [path for path in written if not any(p.fullmatch(_whole(path)) for p in allowed)]
    assert unknown == []
    assert any(path.endswith(".evb.staged") or path.endswith(".evb.part") for path in written)
    assert not [line for line in trace.splitlines() if NAMELESS.search(line)]


def test_pictures_are_in_the_bundle_and_redacted_ones_in_the_report(
    traced: tuple[Path, Path, str],
) -> None:
    out, _, _ = traced
    pictures = [
        path.relative_to(out)
        for path in sorted(out.rglob("*"))
        if path.is_file() and re.search(rb"\xff\xd8\xff|ftypisom|\x89PNG", path.read_bytes())
    ]
    assert [path.suffix for path in pictures] == [".evb"], "the report holds them in base64"
    (bundle,) = (out / "evidence").glob("*.evb")
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        original, copy = (
            archive.read(f"{name}.jpg") for name in ("media/leave", "derived/leave-redacted")
        )
    assert "derived/wide-redacted.jpg" in names
    report = (out / "report.html").read_bytes()
    assert b64encode(copy) in report
    assert b64encode(original) not in report
