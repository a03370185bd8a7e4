"""`python -m edge_agent` is `edge-agent`."""

import sys


def run() -> None:
    """Import and run the command line; Ctrl-C is a clean end even while it still imports."""
    try:
        from edge_agent.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
