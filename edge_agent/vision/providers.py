"""Execution providers of onnxruntime: what runs a network besides the plain CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.errors import ModelError


@dataclass(frozen=True, slots=True)
class Provider:
    """One way to run networks."""

    name: str
    """As the site file says it."""
    ort_name: str
    remedy: str
    """What to do where it is missing."""
    options: Mapping[str, str] = field(default_factory=dict)

    def runtime(self, version: str) -> str:
        """What evidence says of it: empty for the CPU, whose results are the reference."""
        if self.name == "cpu":
            return ""
        precision = " f32" if self.options.get("precision") == "FP32" else ""
        return f"onnxruntime {version} on {self.name}{precision}"


_SWAP = "pip uninstall -y onnxruntime && pip install {} (both cannot be installed side by side)"

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider("cpu", "CPUExecutionProvider", "pip install onnxruntime"),
        Provider(
            "xnnpack",
            "XnnpackExecutionProvider",
            "no wheel on PyPI carries it: build onnxruntime with `--use_xnnpack`",
            {"intra_op_num_threads": "1"},
        ),
        Provider(
            "openvino",
            "OpenVINOExecutionProvider",
            _SWAP.format("onnxruntime-openvino"),
            # Left to itself it takes bfloat16 where a CPU has it, and results differ by machine.
            {"device_type": "CPU", "num_of_threads": "1", "precision": "FP32"},
        ),
        Provider(
            "cuda",
            "CUDAExecutionProvider",
            _SWAP.format("onnxruntime-gpu") + "; on a Jetson the wheel made for its JetPack",
        ),
        Provider(
            "tensorrt",
            "TensorrtExecutionProvider",
            _SWAP.format("onnxruntime-gpu") + ", and TensorRT; on a Jetson the wheel made for its "
            "JetPack",
        ),
    )
}


def find_provider(name: str, offered: Sequence[str]) -> Provider:
    """The provider of that name; ModelError, with what to install, if it is not offered."""
    provider = PROVIDERS[name]
    if provider.ort_name not in offered:
        usable = ", ".join(p.name for p in PROVIDERS.values() if p.ort_name in offered)
        raise ModelError(
            f"detector.provider {name!r}: the installed onnxruntime has only {usable}: "
            f"{provider.remedy}; or say `provider: cpu`"
        )
    return provider


def check_used(provider: Provider, used: Sequence[str]) -> None:
    """ModelError where onnxruntime has silently fallen back to the CPU."""
    if provider.ort_name not in used:
        raise ModelError(
            f"detector.provider {provider.name!r}: onnxruntime could not start it and would run on "
            f"{', '.join(used)}: its driver or libraries are missing or of another version; "
            "install those that its documentation names, or say `provider: cpu`"
        )
