"""The rules of the house that a linter cannot know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "edge_agent"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {"errors", "picture", "types", "geometry", "clock", "identity", "text", "plates", "privacy"}
    | {"health", "recollection"},
    {"config", "ports", "gpio"},
    {"sources", "vision", "tracking", "analyzers", "evidence", "uplink", "signals", "drawing"},
    {"pipeline", "journal", "folder", "score", "report", "witness", "checkpoints", "happenings"},
    {"runner"},
    {"assembly", "app", "results", "bench"},
    {"live"},
    {"demo", "doctor"},
    {"cli"},
    {"__main__"},
]
ROOMS = {
    "evidence": [
        {"staging"},
        {"trust", "case"},
        {"keys"},
        {"log"},
        {"bundle"},
        {"profiles", "custody", "derivatives"},
        {"writer"},
        {"storage", "verification"},
        {"page"},
    ],
    "live": [
        {"backlog", "board", "logbook", "machine", "memory", "metrics", "notify", "requests"}
        | {"timekeeping", "upkeep", "writer"},
        {"site_file"},
        {"camera"},
        {"daemon", "speaker"},
        {"appliance"},
        {"reload", "remote"},
        {"service"},
    ],
}
"""Large rooms have layers of their own; what lies in one of them may know only those before it."""
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
SAME_LAYER_ALLOWED = {0, 1, 3, 5, 7}
"""Layers of single files may know each other; the rooms of layer 2 are siblings and may not."""
BANNED_CALLS = {("time", "time"), ("time", "monotonic"), ("time", "sleep"), ("datetime", "now")}
CLOCK_OWNERS = {"clock.py", "runner.py"}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "edge_agent":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("edge_agent."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name[:11] == "edge_agent.")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        return
    assert room in RANK, f"{room} has no place in the architecture: name its layer here"
    for target in _imports(ast.parse(path.read_text())):
        if target in (room, "__version__"):
            continue
        is_below = RANK[target] < RANK[room]
        is_peer = RANK[target] == RANK[room] and RANK[room] in SAME_LAYER_ALLOWED
        assert is_below or is_peer, f"{path.name} ({room}) must not import {target}"


@pytest.mark.parametrize("room", ROOMS)
def test_imports_within_a_room_run_downwards(room: str) -> None:
    rank = {name: at for at, names in enumerate(ROOMS[room]) for name in names}
    for path in sorted((PACKAGE / room).rglob("*.py")):
        own = path.relative_to(PACKAGE / room).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert own in rank, f"{room}/{own} has no place in the architecture: name its layer here"
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            parts = node.module.split(".")
            if parts[:2] != ["edge_agent", room]:
                continue
            targets = parts[2:3] or [alias.name for alias in node.names]
            for target in set(targets) - {own}:
                assert rank[target] < rank[own], f"{path.name} must not import {room}.{target}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_clock_asks_for_the_time(path: Path) -> None:
    if path.name in CLOCK_OWNERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in BANNED_CALLS, f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= 40, f"{node.name}: {length} lines"


def test_broad_excepts_live_where_faults_are_contained() -> None:
    owners = {p.name for p in FILES if "except Exception" in p.read_text()}
    threads = {"camera.py", "daemon.py", "feed.py", "writer.py", "commands.py"}
    assert owners <= {"pipeline.py", *threads}
