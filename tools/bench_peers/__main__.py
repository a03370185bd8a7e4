"""edge-agent beside its peers: same weights, same clip, same machine, one run, turn by turn.

    PYTHONPATH=tools .venv/bin/python -m bench_peers VIDEO --model yolox_nano --json peers.json

Peers are installed into an environment of their own on first use (several GB with torch). Each is
a process that has loaded and warmed up before anything is measured; in every round each plays the
same frames once, and so does edge-agent, without its gate and as it is shipped, with its gate; its
limit is measured before and after. Peers keep their default threads: onnxruntime and torch take
all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import platformdirs

from bench_peers.peers import PEERS
from edge_agent import app
from edge_agent.assembly import model_paths
from edge_agent.bench import Plan, Rounds
from edge_agent.clock import SystemClock
from edge_agent.demo import SITE
from edge_agent.vision.cards import find_card, find_weights

HERE = Path(__file__).parent
OURS = "edge-agent, every frame inferred"
SHIPPED = "edge-agent as shipped, with its gate"
LIMIT = "limit: bare decode and inference"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one frame took of one program, in one round."""

    wall_s: float
    busy_s: float
    """CPU time, all threads."""


class Peer:
    """A program that plays the clip whenever it is asked to."""

    def __init__(self, python: Path, name: str, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [python, HERE / "peers.py", name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"},
        )
        self.name = name
        self._read()

    def play(self) -> Turn:
        asked: IO[str] | None = self._process.stdin
        assert asked is not None
        asked.write("play\n")
        asked.flush()
        answer = json.loads(self._read())
        return Turn(answer["wall_s"], answer["busy_s"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"bench_peers: {self.name} ended; run peers.py by hand to see why")
        return line


def environment(folder: Path) -> Path:
    """The peers' Python; made on first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        requirements = str(HERE / "requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
    return python


def measure(rounds: Rounds, peers: Sequence[Peer], count: int) -> dict[str, list[Turn]]:
    """Everybody in turn, each round beginning with another one."""
    turns: dict[str, list[Turn]] = {n: [] for n in (OURS, SHIPPED, LIMIT, *(p.name for p in peers))}
    for index in range(count):
        order: list[Peer | str] = [OURS, SHIPPED, *peers]
        at = index % len(order)
        for one in order[at:] + order[:at]:
            if isinstance(one, Peer):
                turns[one.name].append(one.play())
                continue
            lap = rounds.lap(is_gated=one == SHIPPED)
            turns[one].append(Turn(lap.wall_s, lap.busy_s))
            if one == OURS:
                busy_s = (lap.before.busy_s + lap.after.busy_s) / 2
                turns[LIMIT].append(Turn(1 / lap.limit_fps, busy_s))
        sys.stderr.write(f"round {index + 1} of {count}\n")
    return turns


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def rows(turns: dict[str, list[Turn]]) -> list[str]:
    """A Markdown table; ratios are made within each round."""
    lines = [
        "| | frames/s | fraction of the limit | wall time, times that of edge-agent "
        "| and as shipped | CPU time per frame | CPU time, times that of edge-agent "
        "| and as shipped |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, theirs in turns.items():
        fps = statistics.median(1 / turn.wall_s for turn in theirs)
        part = [lim.wall_s / turn.wall_s for lim, turn in zip(turns[LIMIT], theirs, strict=True)]
        wall, busy = [], []
        for ours in (OURS, SHIPPED):
            pairs = list(zip(theirs, turns[ours], strict=True))
            wall.append(spread([turn.wall_s / our.wall_s for turn, our in pairs]))
            busy.append(spread([turn.busy_s / our.busy_s for turn, our in pairs]))
        busy_ms = 1e3 * statistics.median(turn.busy_s for turn in theirs)
        cells = [name, f"{fps:.1f}", spread(part), *wall, f"{busy_ms:.1f} ms", *busy]
        if name in (OURS, SHIPPED, LIMIT):
            cells[3] = cells[4] = cells[6] = cells[7] = ""
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", default="yolox_nano")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    folder = Path(platformdirs.user_cache_dir("edge-agent")) / "peers"
    parser.add_argument("--venv", type=Path, default=folder)
    chosen = parser.parse_args()
    python = environment(chosen.venv)
    site = app.with_model(app.load(SITE), chosen.model)
    paths = model_paths(site)
    card = find_card(chosen.model, paths)
    weights = find_weights(card, paths)
    plan = Plan(site, chosen.video, paths, app.cores(), chosen.frames, chosen.rounds)
    with TemporaryDirectory() as scratch:
        converted = Path(scratch) / "weights.onnx"
        subprocess.run([python, HERE / "layout.py", weights, card.decoder, converted], check=True)
        arguments = [str(chosen.video), str(converted), str(chosen.frames)]
        peers = [Peer(python, name, arguments) for name in PEERS]
        try:
            turns = measure(Rounds(plan, SystemClock()), peers, chosen.rounds)
        finally:
            for peer in peers:
                peer.close()
    sys.stdout.write("\n".join(rows(turns)) + "\n")
    if chosen.json:
        figures = {name: [asdict(turn) for turn in each] for name, each in turns.items()}
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
