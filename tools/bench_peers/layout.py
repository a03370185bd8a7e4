"""The same weights in the layout that Ultralytics reads, which the other peers' guides build on.

What an Ultralytics export does outside the network anyway (RGB / 255 in, one transposed output)
is put around it as a few nodes; no weight changes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)


def convert(weights: Path, decoder: str, target: Path) -> Path:
    """Write `weights`, whose outputs `decoder` names, as an Ultralytics export."""
    model = onnx.load(weights)
    if decoder == "yolox":
        _take_rgb(model)
        _place_on_grid(model)
    if decoder in ("yolox", "yolov5"):
        _transpose(model)
    elif decoder != "yolov8":
        raise SystemExit(f"bench_peers: peers read yolox, yolov5 and yolov8 outputs, not {decoder}")
    _describe(model)
    onnx.save(model, target)
    return target


def _take_rgb(model: ModelProto) -> None:
    """RGB 0..1 becomes the BGR 0..255 that YOLOX takes."""
    name = model.graph.input[0].name
    for node in model.graph.node:
        for i, source in enumerate(node.input):
            if source == name:
                node.input[i] = "peers_bgr"
    _constant(model, "peers_order", np.array([2, 1, 0], np.int64))
    _constant(model, "peers_255", np.array(255, np.float32))
    model.graph.node.insert(0, helper.make_node("Mul", [name, "peers_255"], ["peers_rgb"]))
    gather = helper.make_node("Gather", ["peers_rgb", "peers_order"], ["peers_bgr"], axis=1)
    model.graph.node.insert(1, gather)


def _place_on_grid(model: ModelProto) -> None:
    """Cells become px: centres (x + column) * stride, sizes exp(w) * stride."""
    height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[2:])
    cells, steps = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        steps.append(np.full((x.size, 1), stride))
    _constant(model, "peers_cells", np.concatenate(cells)[None].astype(np.float32))
    _constant(model, "peers_steps", np.concatenate(steps)[None].astype(np.float32))
    out = model.graph.output[0].name
    _slice(model, out, (0, 2), "peers_xy")
    _slice(model, out, (2, 4), "peers_wh")
    _slice(model, out, (4, 1 << 30), "peers_rest")
    _node(model, "Add", ["peers_xy", "peers_cells"], "peers_xy_cells")
    _node(model, "Mul", ["peers_xy_cells", "peers_steps"], "peers_xy_px")
    _node(model, "Exp", ["peers_wh"], "peers_wh_cells")
    _node(model, "Mul", ["peers_wh_cells", "peers_steps"], "peers_wh_px")
    _node(model, "Concat", ["peers_xy_px", "peers_wh_px", "peers_rest"], "peers_rows", axis=2)
    model.graph.output[0].name = "peers_rows"


def _transpose(model: ModelProto) -> None:
    """(1, N, 5 + C) with objectness becomes (1, 4 + C, N) without."""
    out = model.graph.output[0].name
    rows, width = (d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim[1:])
    _slice(model, out, (0, 4), "peers_boxes")
    _slice(model, out, (4, 5), "peers_objectness")
    _slice(model, out, (5, 1 << 30), "peers_classes")
    _node(model, "Mul", ["peers_objectness", "peers_classes"], "peers_scores")
    _node(model, "Concat", ["peers_boxes", "peers_scores"], "peers_flat", axis=2)
    _node(model, "Transpose", ["peers_flat"], "peers_output", perm=[0, 2, 1])
    del model.graph.output[:]
    shape = (1, width - 1, rows)
    model.graph.output.append(
        helper.make_tensor_value_info("peers_output", TensorProto.FLOAT, shape)
    )


def _describe(model: ModelProto) -> None:
    height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[2:])
    count = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value - 4
    known = {entry.key for entry in model.metadata_props}
    facts = {
        "names": str({i: f"class{i}" for i in range(count)}),
        "imgsz": str([height or 640, width or 640]),
        "task": "detect",
        "stride": "32",
        "batch": "1",
    }
    for key in facts.keys() - known:
        model.metadata_props.add(key=key, value=facts[key])


def _constant(model: ModelProto, name: str, value: NDArray[Any]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(value, name))


def _slice(model: ModelProto, source: str, span: tuple[int, int], target: str) -> None:
    for part, value in (("from", span[0]), ("to", span[1]), ("axis", 2)):
        _constant(model, f"{target}_{part}", np.array([value], np.int64))
    _node(model, "Slice", [source, *(f"{target}_{p}" for p in ("from", "to", "axis"))], target)


def _node(model: ModelProto, kind: str, sources: list[str], target: str, **how: object) -> None:
    model.graph.node.append(helper.make_node(kind, sources, [target], **how))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
