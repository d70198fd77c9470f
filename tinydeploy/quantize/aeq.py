"""ai-edge-quantizer as tinydeploy uses it: what it is told, and what it would get wrong.

Operators it does not know stand in for one with the same rule of scales; layers that it would
silently leave in float are refused; what it writes outside the flatbuffer is brought inside.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..errors import InputError, RequestError
from ..graph import Array
from ..tflite.schema import OPERATOR_CODES, OPERATOR_NAMES
from . import modelfile as mf
from .floatmodel import FloatModel, Layer
from .frameworks import first_line, native_silence
from .schemes import LayerScheme, Scheme

# The axis along which weights have a scale each.
CHANNEL_AXIS = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
# An operator the quantiser does not know -> one with as many float inputs and the same rule.
_STAND_INS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("LEAKY_RELU", "ELU", "ABS"), "RELU")
    | dict.fromkeys(
        ("SQUEEZE", "EXPAND_DIMS", "DEPTH_TO_SPACE", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND",
         "SPLIT_V", "REVERSE_V2", "REDUCE_MAX", "ARG_MAX", "ARG_MIN", "RELU6", "RELU_N1_TO_1",
         "RELU_0_TO_1"),
        "RESHAPE",
    )
    | {"PRELU": "MUL", "MINIMUM": "MAXIMUM"}
)  # fmt: skip
# Stand-ins carry the number of what they stand for in their version.
_MARK = 1000


def rewrite(
    model: FloatModel,
    scheme: Scheme,
    layers: Sequence[LayerScheme],
    ranges: Mapping[str, Mapping[str, Array]],
) -> bytes:
    """The quantised file, not yet finished.

    Args:
        model: The float model.
        scheme: Of the whole model.
        layers: Of each layer.
        ranges: {"min": …, "max": …} by tensor: activations as scalars, weights of the weights'
            rank; empty where activations stay in float.

    Raises:
        InputError: A layer cannot be quantised as it is asked for.
        RequestError: ai-edge-quantizer is missing, or fails.
    """
    content = _rewritten(model, _recipe(model, scheme, layers), ranges)
    return _restored(content, model.label)


def _recipe(
    model: FloatModel, scheme: Scheme, layers: Sequence[LayerScheme]
) -> list[dict[str, Any]]:
    """What ai-edge-quantizer is told: an entry for each layer, one for each end."""
    known = mf.need("ai_edge_quantizer.qtyping").TFLOperationName.__members__
    recipe: list[dict[str, Any]] = []
    if scheme.is_static:
        for end in ("INPUT", "OUTPUT"):
            recipe.append(_entry(".*", end, _io_config(scheme)))
    for layer, own in zip(model.layers, layers, strict=True):
        op = _known_as(layer.op)
        if scheme.is_static and own.activations != "float":
            if op not in known:
                raise InputError(
                    f"{model.label}: {layer} cannot be quantised: ai-edge-quantizer does not know "
                    "the operator",
                    f"leave it in float: --override '{layer.index}=float', or build the model "
                    "without it",
                )
            config = _static_config(own)
        elif scheme.is_static:
            continue
        elif layer.op in CHANNEL_AXIS:
            config = _comparison_config(scheme)
        else:
            continue
        algorithm = "float_casting" if scheme.kind == "float16" else "min_max_uniform_quantize"
        recipe.append(_entry(f"^{_escaped(layer)};$", op, config, algorithm))
        if scheme.is_static:
            _check_known(model, layer, op, config)
    return recipe


def _escaped(layer: Layer) -> str:
    return ";".join(re.escape(name) for name in layer.outputs)


def _known_as(op: str) -> str:
    """The quantiser's name for an operator, or for what stands in for it."""
    op = _STAND_INS.get(op, op)
    return "CONV_2D_TRANSPOSE" if op == "TRANSPOSE_CONV" else op


def _entry(
    regex: str, op: str, config: dict[str, Any], algorithm: str = "min_max_uniform_quantize"
) -> dict[str, Any]:
    key = "no_quantize" if not config else algorithm
    return {"regex": regex, "operation": op, "algorithm_key": key, "op_config": config}


def _tensor_config(bits: int, *, symmetric: bool, channels: bool = False, kind: str = "INT") -> Any:
    return {
        "num_bits": bits,
        "symmetric": symmetric,
        "granularity": "CHANNELWISE" if channels else "TENSORWISE",
        "dtype": kind,
    }


def _static_config(own: LayerScheme) -> dict[str, Any]:
    symmetric = own.symmetric or own.bits == 16
    return {
        "activation_tensor_config": _tensor_config(own.bits, symmetric=symmetric),
        "weight_tensor_config": _tensor_config(8, symmetric=True, channels=own.per_channel),
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
    }


def _io_config(scheme: Scheme) -> dict[str, Any]:
    if scheme.io_type == "float32":
        return {}
    bits = 16 if scheme.io_type == "int16" else 8
    symmetric = bits == 16 or (scheme.symmetric and scheme.io_type == "int8")
    kind = "UINT" if scheme.io_type == "uint8" else "INT"
    return {
        "activation_tensor_config": _tensor_config(bits, symmetric=symmetric, kind=kind),
        "weight_tensor_config": _tensor_config(8, symmetric=True, channels=True),
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
    }


def _comparison_config(scheme: Scheme) -> dict[str, Any]:
    if scheme.kind == "float16":
        weights = _tensor_config(16, symmetric=True, kind="FLOAT")
        return {
            "weight_tensor_config": weights,
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        }
    return {
        "weight_tensor_config": _tensor_config(8, symmetric=True, channels=scheme.per_channel),
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
    }


def _check_known(model: FloatModel, layer: Layer, op: str, config: dict[str, Any]) -> None:
    """The quantiser leaves in float what its policy does not list, without a word."""
    types = mf.need("ai_edge_quantizer.qtyping")
    manager = mf.need("ai_edge_quantizer.algorithm_manager")
    try:
        manager.check_op_quantization_config(
            manager.AlgorithmName.MIN_MAX_UNIFORM_QUANT,
            types.TFLOperationName[op],
            types.OpQuantizationConfig.from_dict(config),
        )
    except ValueError:
        bits = config["activation_tensor_config"]["num_bits"]
        raise InputError(
            f"{model.label}: {layer} cannot have int{bits} activations",
            f"choose others for it: --override '{layer.index}=int{24 - bits}' or "
            f"'{layer.index}=float'",
        ) from None


def _rewritten(
    model: FloatModel, recipe: list[dict[str, Any]], ranges: Mapping[str, Mapping[str, Array]]
) -> bytes:
    masked = mf.read(model.content, model.label)
    for operator in masked.subgraphs[0].operators:
        name = mf.operator_name(masked, operator)
        if name in _STAND_INS:
            version = masked.operatorCodes[operator.opcodeIndex].version
            mark = (version * len(OPERATOR_NAMES) + OPERATOR_CODES[name]) * _MARK
            operator.opcodeIndex = mf.add_code(masked, _STAND_INS[name], mark)
    try:
        with native_silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _modified(mf.write(masked), recipe, ranges)
    except MemoryError:
        raise RequestError(f"{model.label} does not fit this machine's memory") from None
    except Exception as error:
        raise RequestError(
            f"ai-edge-quantizer cannot quantise {model.label}: {first_line(error)}"
        ) from error


def _modified(
    content: bytes, recipe: list[dict[str, Any]], ranges: Mapping[str, Mapping[str, Array]]
) -> bytes:
    """The package's own steps; its front door would run the model, stand-ins and all."""
    read = mf.need("ai_edge_quantizer.utils.tfl_flatbuffer_utils").read_model
    manager = mf.need("ai_edge_quantizer.recipe_manager").RecipeManager()
    manager.load_quantization_recipe(recipe)
    model = read(bytearray(content))
    generator = mf.need("ai_edge_quantizer.params_generator").ParamsGenerator(model)
    known = {name: dict(ends) for name, ends in ranges.items()}
    parameters = generator.generate_quantization_parameters(
        manager, known or None, enable_progress_bar=False
    )
    modifier = mf.need("ai_edge_quantizer.model_modifier").ModelModifier(model)
    return bytes(modifier.modify_model(parameters, enable_progress_bar=False))


def _restored(content: bytes, label: str) -> bytes:
    """The operators that stood in become again what they were."""
    model = mf.read(content, label)
    for code in model.operatorCodes:
        if code.version >= _MARK:
            version, number = divmod(code.version // _MARK, len(OPERATOR_NAMES))
            code.builtinCode, code.version = number, version
    return mf.write(model)
