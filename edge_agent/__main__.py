"""`python -m edge_agent` is `edge-agent`."""

import signal
import sys


def run() -> None:
    """Import and run the command line; Ctrl-C is a clean end even while it still imports."""
    if hasattr(signal, "SIGHUP") and sys.argv[1:2] == ["run"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # too early to read the site file again
    try:
        from edge_agent.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
