"""The files of the demo."""

from pathlib import Path

_FOLDER = Path(__file__).parent
CLIP = _FOLDER / "street.mp4"
"""A rendered street in which a car parks where it must not (`tools/render_street.py`)."""
SITE = _FOLDER / "street.yaml"
"""The site file of that street, on the weight-free motion model."""
TRUTH = _FOLDER / "street.truth.json"
"""What happens in it, for `edge-agent score`."""
