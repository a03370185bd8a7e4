"""Execution providers: what is missing, and what is said about it."""

import pytest

from edge_agent.config import DetectorSettings
from edge_agent.errors import ModelError
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.vision.providers import PROVIDERS, check_used, find_provider

PLAIN = ["AzureExecutionProvider", "CPUExecutionProvider"]


def test_the_cpu_is_always_there_and_evidence_does_not_mention_it() -> None:
    assert find_provider("cpu", PLAIN).runtime("1.32.0") == ""


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("openvino", "pip install onnxruntime-openvino"),
        ("cuda", "pip install onnxruntime-gpu"),
        ("tensorrt", "JetPack"),
        ("xnnpack", "--use_xnnpack"),
    ],
)
def test_a_missing_one_says_what_to_install(name: str, remedy: str) -> None:
    with pytest.raises(ModelError) as caught:
        find_provider(name, PLAIN)
    message = str(caught.value)
    assert f"detector.provider '{name}'" in message
    assert "has only cpu" in message
    assert remedy in message
    assert "`provider: cpu`" in message


def test_a_silent_fall_back_to_the_cpu_is_refused() -> None:
    cuda = PROVIDERS["cuda"]
    check_used(cuda, ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(ModelError, match="could not start it"):
        check_used(cuda, ["CPUExecutionProvider"])


def test_evidence_names_what_ran_the_network() -> None:
    runtime = PROVIDERS["openvino"].runtime("1.24.1")
    assert runtime == "onnxruntime 1.24.1 on openvino f32"
    media = Media("a.mp4", "replay", "0" * 64, None, "assumed")  # type: ignore[arg-type]
    cameras = {
        "plain": CameraOrigin(media, ModelInfo("net", "1" * 64)),
        "fast": CameraOrigin(media, ModelInfo("net", "1" * 64, runtime=runtime)),
    }
    origin = Origin({"name": "s"}, "box", "boot", "c" * 64, "edge-agent 1", cameras)
    assert origin.software_for("plain") == "edge-agent 1"
    assert origin.software_for("fast") == "edge-agent 1, onnxruntime 1.24.1 on openvino f32"


def test_every_provider_of_the_site_file_is_known() -> None:
    values = DetectorSettings.model_json_schema()["properties"]["provider"]["enum"]
    assert sorted(values) == sorted(PROVIDERS)
