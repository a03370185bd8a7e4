"""gpiozero's pin factories by the names that a site file gives them."""

from __future__ import annotations

import importlib
import re
from typing import Any


def open_factory(kind: str, chip: str) -> Any:  # noqa: ANN401  (gpiozero has no types)
    """Open a chip through `libgpiod`, `lgpio` or the `mock`.

    Raises ImportError for a library that is not there, and what `line_errors` says for a chip.
    """
    if kind == "libgpiod":
        return importlib.import_module("edge_agent.gpio.libgpiod").LibgpiodFactory(chip)
    if kind == "mock":
        return importlib.import_module("gpiozero.pins.mock").MockFactory()
    number = int(re.sub(r"\D", "", chip))
    return importlib.import_module("gpiozero.pins.lgpio").LGPIOFactory(chip=number)


def line_errors(kind: str) -> tuple[type[Exception], ...]:
    """What a factory of that kind and its pins raise; ImportError for a missing library."""
    errors = (importlib.import_module("gpiozero").GPIOZeroError, OSError, ValueError)
    return (*errors, importlib.import_module("lgpio").error) if kind == "lgpio" else errors
