"""Make int8 weights of a model: statically quantised, calibrated on pictures of recordings.

    .venv/bin/python tools/quantise.py yolox_nano street.mp4 crossing.mp4 --out yolox_nano_int8.onnx
    .venv/bin/edge-agent models add yolox_nano_int8.onnx --name yolox_nano_int8

Needs the extra `train` (for `onnx`). Every operator up to the last convolutions is quantised, with
weights per channel; what follows, where boxes and scores meet in one tensor, stays float: one scale
for both rounds all scores to nothing. Whether an int8 model still sees what it must has to be
measured on the site's own recordings, with `tools/mot.py` and `edge-agent score`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import onnx.version_converter
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_agent.sources import open_recording
from edge_agent.vision.cards import find_card, find_weights, search_path
from edge_agent.vision.detector import OnnxDetector

OPSET = 17
"""From 13 on a convolution's weights can have a scale per channel."""
PER_CLIP = 24
"""Pictures of each recording."""


class Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Inputs of the network, from pictures spread over the recordings."""

    def __init__(self, detector: OnnxDetector, clips: Sequence[Path], feed: str) -> None:
        self._blobs = _blobs(detector, clips)
        self._feed = feed

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        blob = next(self._blobs, None)
        return None if blob is None else {self._feed: blob}


def _blobs(detector: OnnxDetector, clips: Sequence[Path]) -> Iterator[NDArray[Any]]:
    for clip in clips:
        source = open_recording(clip, "calibration")
        every_s = (source.duration_s or 60.0) / (PER_CLIP + 1)
        next_s = 0.0
        pictures = (frame for frame in source.frames())
        for frame in islice(pictures, 100_000):
            if frame.t_s >= next_s:
                next_s += every_s
                yield detector.prepare(frame)[0].copy()
        source.close()


def tail(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes behind the last convolutions."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for source in node.input:
            readers.setdefault(source, []).append(node)
    leads: dict[str, bool] = {}  # to a convolution
    for node in reversed(model.graph.node):  # those that read come later in the file
        after = [reader for output in node.output for reader in readers.get(output, ())]
        leads[node.name] = any(n.op_type == "Conv" or leads[n.name] for n in after)
    return [n.name for n in model.graph.node if n.op_type != "Conv" and not leads[n.name]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model card's name")
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    paths = search_path(None, os.environ)
    card = find_card(chosen.model, paths)
    weights = find_weights(card, paths)
    with TemporaryDirectory() as scratch:
        clean = Path(scratch) / "clean.onnx"
        quant_pre_process(weights, clean, skip_symbolic_shape=True)
        model = onnx.version_converter.convert_version(onnx.load(clean), OPSET)
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        onnx.save(model, clean)
        quantize_static(
            clean,
            chosen.out,
            Pictures(OnnxDetector(card, weights), chosen.clips, model.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=tail(model),
            calibrate_method=CalibrationMethod.MinMax,
        )


if __name__ == "__main__":
    main()
