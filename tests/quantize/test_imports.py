"""Models of other frameworks: small ones, imported, quantised, and proven on an emulated board.

ONNX needs `pip install '.[dev,onnx]'`, PyTorch `'.[dev,torch]'` in an environment of its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import require
from tinydeploy.build import BuildRequest
from tinydeploy.errors import InputError, RequestError
from tinydeploy.inputs import read_inputs
from tinydeploy.pipeline import build, prove
from tinydeploy.quantize import QuantizeRequest, QuantizeResult, run
from tinydeploy.quantize.imports import parse_shapes
from tinydeploy.quantize.judge import open_judge

slow = pytest.mark.slow
RNG = np.random.default_rng(11)

TORCH = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm(self.mix(self.spatial(x))))

def network():
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), Block(8),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 4 * 4, 5), nn.Softmax(1))

def example():
    return network(), (torch.zeros(1, 3, 16, 16),)

def odd():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x[0, 0])[1]
    return Odd(), (torch.zeros(1, 1, 4, 4),)

def no_module():
    return 3
"""


def proven(result: QuantizeResult, folder: Path) -> bool:
    """On an emulated Cortex-M4, bit for bit."""
    require("oracle", "unicorn", "zig")
    request = BuildRequest(result.out, "nucleo_l4r5zi", toolchain="zig", out=folder)
    built = build(request, lambda report: None, lambda line: None)
    report, _ = prove(built, read_inputs("random:2", built.prepared.graph))
    return report.outcome == "verified"


def images(path: Path, *shape: int) -> Path:
    np.savez(path, x=RNG.random(shape, np.float32))
    return path


def onnx_network(path: Path, *, batch: int | str = "N", more: tuple[Any, ...] = ()) -> Path:
    """Channels first, as PyTorch exports: convolutions, a residual, pooling, a dense layer."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def weights(name: str, *shape: int) -> Any:
        data = RNG.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
        return numpy_helper.from_array(data, name)

    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2"], ["c2"], group=8, pads=[1, 1, 1, 1]),
        node("Conv", ["c2", "w3"], ["c3"]),
        node("Add", ["r1", "c3"], ["sum"]),
        node("Relu", ["sum"], ["r2"]),
        node("MaxPool", ["r2"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "wf", "bf"], ["g"], transB=1),
        node("Softmax", ["g"], ["y"], axis=1),
        *more,
    ]
    constants = [weights("w1", 8, 3, 3, 3), weights("b1", 8), weights("w2", 8, 1, 3, 3),
                 weights("w3", 8, 8, 1, 1), weights("wf", 5, 128), weights("bf", 5)]  # fmt: skip
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 16, 16])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])
    graph = helper.make_graph(nodes, "net", [given], [answer], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@slow
def test_onnx_is_quantised_and_proven(tmp_path: Path) -> None:
    require("onnx", "ptq")
    import onnxruntime

    model = onnx_network(tmp_path / "net.onnx")
    data = images(tmp_path / "x.npz", 40, 3, 16, 16)
    request = QuantizeRequest(
        model, tmp_path / "net.tflite", str(data), transform="channels-last", calibration="mse"
    )
    result = run(request)
    assert any("channels last" in warning for warning in result.warnings)
    assert not any("differ" in warning for warning in result.warnings)
    assert result.verdict.engine == "aot"
    assert result.methods[0].agreeing is not None
    assert result.methods[0].agreeing >= 0.8  # its weights are noise: the classes are close
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    judge = open_judge(result.out.read_bytes(), "int8")
    with np.load(data) as arrays:
        for sample in arrays["x"][:10]:
            (expected,) = session.run(None, {"x": sample[None]})
            (found,) = judge.answer([sample.transpose(1, 2, 0)[None]])
            assert np.abs(found - expected).max() < 0.03
    assert proven(result, tmp_path / "build")


@slow
def test_onnx_that_cannot_be_imported(tmp_path: Path) -> None:
    require("onnx", "ptq")
    from onnx import helper

    more = helper.make_node("LpPool", ["x"], ["z"], name="odd", kernel_shape=[2, 2])
    odd = onnx_network(tmp_path / "odd.onnx", more=(more,))
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(odd.read_bytes()[:1000])
    large = onnx_network(tmp_path / "batch.onnx", batch=4)
    for model, message in (
        (odd, "odd.* is LpPool, which onnx2tf does not convert"),
        (cut, "no sound ONNX model"),
        (large, "a batch of 4, needs 1"),
        (tmp_path / "absent.onnx", "does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            run(QuantizeRequest(model, tmp_path / "out.tflite", "x.npz"))
    assert not (tmp_path / "out.tflite").exists()


@slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_pytorch_is_quantised_and_proven(tmp_path: Path) -> None:
    require("torch", "ptq")
    import torch

    file = tmp_path / "net.py"
    file.write_text(TORCH)
    data = images(tmp_path / "x.npz", 40, 3, 16, 16)
    request = QuantizeRequest(
        model=Path(f"{file}:example"),
        out=tmp_path / "net.tflite",
        data=str(data),
        transform="channels-last",
        calibration="mse",
    )
    result = run(request)
    assert any("channels last" in warning for warning in result.warnings)
    assert not any("differ" in warning for warning in result.warnings)
    assert result.verdict.engine == "aot"
    assert result.methods[0].agreeing is not None
    assert result.methods[0].agreeing >= 0.8
    assert proven(result, tmp_path / "build")

    space: dict[str, Any] = {}
    exec(TORCH, space)
    network, example = space["example"]()
    torch.export.save(torch.export.export(network.eval(), example), tmp_path / "net.pt2")
    again = run(replace(request, model=tmp_path / "net.pt2"))
    assert again.methods[0].agreeing == result.methods[0].agreeing


@slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_pytorch_that_cannot_be_imported(tmp_path: Path) -> None:
    require("torch", "ptq")
    file = tmp_path / "net.py"
    file.write_text(TORCH)
    (tmp_path / "net.pt2").write_bytes(b"nothing")
    (tmp_path / "net.pt").write_bytes(b"nothing")
    for model, message in (
        (f"{file}:network", "does not say what its module takes"),
        (f"{file}:odd", "svd"),
        (f"{file}:no_module", "returns int, needs a torch.nn.Module"),
        (f"{file}:absent", "has no attribute 'absent'"),
        (tmp_path / "net.pt2", "is no exported program"),
        (tmp_path / "net.pt", "is a pickle"),
    ):
        with pytest.raises(InputError, match=message):
            run(QuantizeRequest(Path(model), tmp_path / "out.tflite", "x.npz"))
    with pytest.raises(InputError, match="needs a batch of 1"):
        run(QuantizeRequest(Path(f"{file}:network"), tmp_path / "out.tflite", "x.npz",
                            input_shape="4,3,16,16"))  # fmt: skip


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("ptq")
    (tmp_path / "net.onnx").write_bytes(b"")
    (tmp_path / "net.pt2").write_bytes(b"")
    np.save(tmp_path / "x.npy", np.zeros((4, 8), np.float32))
    for name in ("onnx", "torch"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    for file, extra in (("net.onnx", "onnx"), ("net.pt2", "torch")):
        with pytest.raises(RequestError, match=f"{extra} is not installed") as caught:
            run(QuantizeRequest(tmp_path / file, tmp_path / "out.tflite", str(tmp_path / "x.npy")))
        assert caught.value.hint == f"pip install 'tinydeploy[{extra}]'"


def test_shapes_on_the_command_line() -> None:
    assert parse_shapes("1,3,8,8") == {"": (1, 3, 8, 8)}
    assert parse_shapes("image=1,3,8,8;mask=1,1,8,8") == {
        "image": (1, 3, 8, 8),
        "mask": (1, 1, 8, 8),
    }
    for text in ("1,x", "1,0,3", "image=", "1,2;1,3", "image=1,2;1,3"):
        with pytest.raises(InputError):
            parse_shapes(text)
