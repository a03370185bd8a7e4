"""One onnxruntime session per weight file, shared by all workers."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge_agent.errors import ModelError

# From 1.2x on it keeps a device id in the user's cache and reports to its maker; read on import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from edge_agent.vision.providers import Provider, check_used, find_provider

Array = NDArray[Any]

# onnxruntime's exceptions share no base class but Exception
FAILURES = (
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NoSuchFile,
    state.NotFound,
    state.NotImplemented,
    state.RuntimeException,
)


class Session:
    """A loaded network with one picture as its input.

    `run` may be called from several threads at once: each call computes in the thread that makes
    it, so that n workers use n cores and nobody spins.
    """

    def __init__(self, path: Path, provider: str = "cpu") -> None:
        self.path = path
        self.provider = find_provider(provider, ort.get_available_providers())
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # what matters arrives as an exception
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            self._ort = ort.InferenceSession(str(path), options, _chain(self.provider))
        except FAILURES as error:
            raise ModelError(
                f"model file {path}: onnxruntime cannot open it ({_first_line(error)}); expected "
                "an ONNX file: fetch it again with `edge-agent models pull NAME`, or export it "
                "again and run `edge-agent models add FILE`"
            ) from error
        check_used(self.provider, self._ort.get_providers())
        self.runtime = self.provider.runtime(ort.__version__)
        inputs = self._ort.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            found = ", ".join(f"{i.name} {i.shape}" for i in inputs)
            raise ModelError(f"model file {path}: expected one 4-dimensional input, found {found}")
        self._input = inputs[0].name
        self.input_shape: tuple[int | None, ...] = _fixed(inputs[0].shape)
        kind = inputs[0].type.removeprefix("tensor(").removesuffix(")")
        self.input_dtype = "float32" if kind == "float" else kind
        self.output_shapes = tuple(_fixed(o.shape) for o in self._ort.get_outputs())
        self.metadata: Mapping[str, str] = self._ort.get_modelmeta().custom_metadata_map

    def run(self, blob: Array) -> list[Array]:
        """All outputs for one input; ModelError when the network refuses it."""
        try:
            outputs: list[Array] = self._ort.run(None, {self._input: blob})
        except FAILURES as error:
            raise ModelError(
                f"model file {self.path}: the network refused an input of shape {blob.shape} "
                f"{blob.dtype} (it declares {self.input_shape}): {_first_line(error)}; correct "
                "`input` in its card"
            ) from error
        return outputs


@lru_cache(maxsize=8)
def open_session(path: Path, sha256: str, provider: str = "cpu") -> Session:
    """The session of a weight file; the same one for everybody who asks for that content."""
    return Session(path, provider)


def _chain(provider: Provider) -> list[tuple[str, dict[str, str]]]:
    """What onnxruntime shall ask for each part of a network, in that order."""
    cpu: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
    return [cpu] if provider.name == "cpu" else [(provider.ort_name, dict(provider.options)), cpu]


def metadata_names(session: Session) -> dict[int, str]:
    """Class names that Ultralytics exports write into the file; ModelError when there are none."""
    names = _literal(session, "names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise ModelError(
            f"model file {session.path}: its metadata has no class names (`names`); write the "
            "classes into the card instead of `metadata`"
        )
    return {int(index): str(name) for index, name in sorted(names.items())}


def metadata_size(session: Session) -> tuple[int, int] | None:
    """(width, height) that the file's metadata or its input shape says, or None."""
    height, width = session.input_shape[2:]
    if width and height:
        return width, height
    size = _literal(session, "imgsz")
    if isinstance(size, int):
        return size, size
    if isinstance(size, list | tuple) and len(size) == 2:
        return int(size[1]), int(size[0])
    return None


def _literal(session: Session, key: str) -> object:
    try:
        return ast.literal_eval(session.metadata.get(key, "None"))
    except (ValueError, SyntaxError) as error:
        raise ModelError(
            f"model file {session.path}: metadata {key!r} is not readable: expected a Python "
            f"literal, got {session.metadata[key][:60]!r}"
        ) from error


def _fixed(shape: list[Any]) -> tuple[int | None, ...]:
    """Named and negative dimensions are free."""
    return tuple(d if isinstance(d, int) and d > 0 else None for d in shape)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
