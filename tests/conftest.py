"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with other people's footage and weights; skips, by name, where it is absent."""
    folder = Path(os.environ.get("EDGE_AGENT_SHARED", ROOT.parent / "shared"))
    if not (folder / "footage").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"shared material is missing on CI: {folder} (set EDGE_AGENT_SHARED)")
        pytest.skip(f"SHARED MATERIAL ABSENT: {folder} (set EDGE_AGENT_SHARED to run this test)")
    return folder
