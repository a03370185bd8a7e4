"""Starts the agent again and again without importing everything anew.

    python reborn.py run --config site.yaml

A line on standard input starts it; prints its process id, then `gone` and its exit status.
"""

import os
import sys

from edge_agent import cli


def main() -> None:
    print("ready", flush=True)  # noqa: T201
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            for number in (0, 1):  # or whoever reads ours would wait for the child's end
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            cli.main()
        print(child, flush=True)  # noqa: T201
        _, status = os.waitpid(child, 0)
        print("gone", os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
