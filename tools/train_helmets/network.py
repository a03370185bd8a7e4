"""YOLOX-Nano (arXiv:2107.08430) without batch norm, started from published weights.

The published ONNX file has its batch norms folded into the convolutions; fine-tuning goes on from
there. Module and call order follow the file, so that weights are matched by their order alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)


class Conv(nn.Sequential):
    """Convolution and SiLU; `depthwise` splits it into a spatial and a pointwise one."""

    def __init__(self, inside: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inside, out, kernel, stride, kernel // 2), nn.SiLU(inplace=True))


class Depthwise(nn.Sequential):
    """A 3x3 convolution per channel, then a 1x1 across channels."""

    def __init__(self, inside: int, out: int, stride: int = 1) -> None:
        spatial = nn.Conv2d(inside, inside, 3, stride, 1, groups=inside)
        super().__init__(spatial, nn.SiLU(inplace=True), Conv(inside, out))


class Bottleneck(nn.Module):
    """1x1, depthwise 3x3, and the input added again where wanted."""

    def __init__(self, width: int, adds: bool) -> None:
        super().__init__()
        self.first, self.second, self.adds = Conv(width, width), Depthwise(width, width), adds

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return y + x if self.adds else y


class Csp(nn.Module):
    """Cross stage partial block with three 1x1 convolutions."""

    def __init__(self, inside: int, out: int, depth: int = 1, adds: bool = False) -> None:
        super().__init__()
        half = out // 2
        self.main, self.side = Conv(inside, half), Conv(inside, half)
        self.blocks = nn.Sequential(*(Bottleneck(half, adds) for _ in range(depth)))
        self.join = Conv(out, out)

    def forward(self, x: Tensor) -> Tensor:
        main, side = self.main(x), self.side(x)
        joined: Tensor = self.join(torch.cat([self.blocks(main), side], 1))
        return joined


class Pyramid(nn.Module):
    """Pools of 5, 9 and 13 px side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = Conv(width, width // 2), Conv(width * 2, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        pools = [functional.max_pool2d(x, size, 1, size // 2) for size in (5, 9, 13)]
        joined: Tensor = self.last(torch.cat([x, *pools], 1))
        return joined


class Branch(nn.Module):
    """The head of one stride: (batch, 4 + 1 + classes, height, width) logits."""

    def __init__(self, inside: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.stem = Conv(inside, width)
        self.class_body = nn.Sequential(Depthwise(width, width), Depthwise(width, width))
        self.class_out = nn.Conv2d(width, classes, 1)
        self.box_body = nn.Sequential(Depthwise(width, width), Depthwise(width, width))
        self.box_out, self.object_out = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        classes = self.class_out(self.class_body(x))
        boxes = self.box_body(x)
        return torch.cat([self.box_out(boxes), self.object_out(boxes), classes], 1)


class YoloxNano(nn.Module):
    """BGR 0..255 (batch, 3, height, width) -> (batch, anchors, 5 + classes) logits.

    Boxes are offsets in cells and log sizes in strides, as the decoder `yolox` reads them; in
    `eval` objectness and classes are probabilities.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = Conv(12, 16, 3)
        self.dark2 = nn.Sequential(Depthwise(16, 32, 2), Csp(32, 32, 1, True))
        self.dark3 = nn.Sequential(Depthwise(32, 64, 2), Csp(64, 64, 3, True))
        self.dark4 = nn.Sequential(Depthwise(64, 128, 2), Csp(128, 128, 3, True))
        self.dark5 = nn.Sequential(Depthwise(128, 256, 2), Pyramid(256), Csp(256, 256))
        self.lateral5, self.up4 = Conv(256, 128), Csp(256, 128)
        self.lateral4, self.up3 = Conv(128, 64), Csp(128, 64)
        self.down3, self.out4 = Depthwise(64, 64, 2), Csp(128, 128)
        self.down4, self.out5 = Depthwise(128, 128, 2), Csp(256, 256)
        self.branches = nn.ModuleList(Branch(width, classes) for width in (64, 128, 256))

    def forward(self, image: Tensor) -> Tensor:
        rows = [image[..., ::2, ::2], image[..., 1::2, ::2]]
        x = self.stem(torch.cat([*rows, image[..., ::2, 1::2], image[..., 1::2, 1::2]], 1))
        outputs = [b(f) for b, f in zip(self.branches, self._features(x), strict=True)]
        flat = torch.cat([output.flatten(2) for output in outputs], 2).transpose(1, 2)
        return flat if self.training else torch.cat([flat[..., :4], flat[..., 4:].sigmoid()], 2)

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Strides 8, 16 and 32, from a feature pyramid down and up again."""
        c3 = self.dark3(self.dark2(x))
        c4 = self.dark4(c3)
        p5 = self.lateral5(self.dark5(c4))
        p4 = self.lateral4(self.up4(torch.cat([_double(p5), c4], 1)))
        p3 = self.up3(torch.cat([_double(p4), c3], 1))
        n4 = self.out4(torch.cat([self.down3(p3), p4], 1))
        return p3, n4, self.out5(torch.cat([self.down4(n4), p5], 1))


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def load_published(net: YoloxNano, path: Path) -> None:
    """Copy the weights of the published ONNX file; layers of another shape start afresh.

    ValueError when the file has another number of convolutions.
    """
    graph = onnx.load(str(path)).graph
    values = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    ours = _called_convs(net)
    if len(convs) != len(ours):
        raise ValueError(f"{path}: expected {len(ours)} convolutions, got {len(convs)}")
    for layer, node in zip(ours, convs, strict=True):
        weight, bias = (torch.from_numpy(values[name].copy()) for name in node.input[1:3])
        if layer.weight.shape == weight.shape and layer.bias is not None:
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)


def start_head(net: YoloxNano, prior: float = 0.01) -> None:
    """Small random class and object layers that start near the prior probability."""
    for branch in net.branches:
        assert isinstance(branch, Branch)
        for layer in (branch.class_out, branch.object_out):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, -float(torch.log(torch.tensor((1 - prior) / prior))))


def anchors(size: int) -> tuple[Tensor, Tensor]:
    """((N, 2) grid points in cells, (N, 1) strides) of a square input of `size` px."""
    points, steps = [], []
    for stride in STRIDES:
        side = torch.arange(size // stride, dtype=torch.float32)
        y, x = torch.meshgrid(side, side, indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()], 1))
        steps.append(torch.full((len(points[-1]), 1), float(stride)))
    return torch.cat(points), torch.cat(steps)


def _called_convs(net: YoloxNano) -> Sequence[nn.Conv2d]:
    """The convolutions in the order in which a forward pass calls them."""
    called: list[nn.Conv2d] = []

    def note(layer: nn.Module, _inputs: object, _output: object) -> None:
        assert isinstance(layer, nn.Conv2d)
        called.append(layer)

    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        net(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    return called
