"""TensorFlow Lite for Microcontrollers' operators: how each is registered with its resolver.

Data: the names of TFLite's schema, and of the methods and functions of TFLite Micro's headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Typed:
    """Registrations of an operator that hold the code of one element type alone.

    Attributes:
        header: In tensorflow/lite/micro/kernels; what declares them.
        int8: The function for int8 activations and weights; empty for none.
        int16: For int16 activations and int8 weights; empty for none.
    """

    header: str
    int8: str = ""
    int16: str = ""


# TFLite's name -> the method of MicroMutableOpResolver.
METHODS: Mapping[str, str] = {
    "ABS": "AddAbs",
    "ADD": "AddAdd",
    "ADD_N": "AddAddN",
    "ARG_MAX": "AddArgMax",
    "ARG_MIN": "AddArgMin",
    "ASSIGN_VARIABLE": "AddAssignVariable",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "BATCH_TO_SPACE_ND": "AddBatchToSpaceNd",
    "BROADCAST_ARGS": "AddBroadcastArgs",
    "BROADCAST_TO": "AddBroadcastTo",
    "CALL_ONCE": "AddCallOnce",
    "CAST": "AddCast",
    "CEIL": "AddCeil",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "COS": "AddCos",
    "CUMSUM": "AddCumSum",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEPTH_TO_SPACE": "AddDepthToSpace",
    "DEQUANTIZE": "AddDequantize",
    "DIV": "AddDiv",
    "DYNAMIC_UPDATE_SLICE": "AddDynamicUpdateSlice",
    "ELU": "AddElu",
    "EMBEDDING_LOOKUP": "AddEmbeddingLookup",
    "EQUAL": "AddEqual",
    "EXP": "AddExp",
    "EXPAND_DIMS": "AddExpandDims",
    "FILL": "AddFill",
    "FLOOR": "AddFloor",
    "FLOOR_DIV": "AddFloorDiv",
    "FLOOR_MOD": "AddFloorMod",
    "FULLY_CONNECTED": "AddFullyConnected",
    "GATHER": "AddGather",
    "GATHER_ND": "AddGatherNd",
    "GREATER": "AddGreater",
    "GREATER_EQUAL": "AddGreaterEqual",
    "HARD_SWISH": "AddHardSwish",
    "IF": "AddIf",
    "L2_NORMALIZATION": "AddL2Normalization",
    "L2_POOL_2D": "AddL2Pool2D",
    "LEAKY_RELU": "AddLeakyRelu",
    "LESS": "AddLess",
    "LESS_EQUAL": "AddLessEqual",
    "LOG": "AddLog",
    "LOGICAL_AND": "AddLogicalAnd",
    "LOGICAL_NOT": "AddLogicalNot",
    "LOGICAL_OR": "AddLogicalOr",
    "LOGISTIC": "AddLogistic",
    "LOG_SOFTMAX": "AddLogSoftmax",
    "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MIRROR_PAD": "AddMirrorPad",
    "MUL": "AddMul",
    "NEG": "AddNeg",
    "NOT_EQUAL": "AddNotEqual",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "READ_VARIABLE": "AddReadVariable",
    "REDUCE_ALL": "AddReduceAll",
    "REDUCE_MAX": "AddReduceMax",
    "REDUCE_MIN": "AddReduceMin",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "RESIZE_BILINEAR": "AddResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "AddResizeNearestNeighbor",
    "REVERSE_V2": "AddReverseV2",
    "ROUND": "AddRound",
    "RSQRT": "AddRsqrt",
    "SELECT_V2": "AddSelectV2",
    "SHAPE": "AddShape",
    "SIN": "AddSin",
    "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax",
    "SPACE_TO_BATCH_ND": "AddSpaceToBatchNd",
    "SPACE_TO_DEPTH": "AddSpaceToDepth",
    "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV",
    "SQRT": "AddSqrt",
    "SQUARE": "AddSquare",
    "SQUARED_DIFFERENCE": "AddSquaredDifference",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "SVDF": "AddSvdf",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "TRANSPOSE_CONV": "AddTransposeConv",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
    "UNPACK": "AddUnpack",
    "VAR_HANDLE": "AddVarHandle",
    "WHILE": "AddWhile",
    "ZEROS_LIKE": "AddZerosLike",
}

# A registration for one type where the installed TFLite Micro has no kernel for it alone is the
# general one, by its own headers.
TYPED: Mapping[str, Typed] = {
    "ADD": Typed("add.h", "Register_ADD_INT8", "Register_ADD_INT16"),
    "AVERAGE_POOL_2D": Typed(
        "pooling.h", "Register_AVERAGE_POOL_2D_INT8", "Register_AVERAGE_POOL_2D_INT16"
    ),
    "BATCH_MATMUL": Typed(
        "batch_matmul.h", "Register_BATCH_MATMUL_INT8", "Register_BATCH_MATMUL_INT16"
    ),
    "CONV_2D": Typed("conv.h", "Register_CONV_2D_INT8", "Register_CONV_2D_INT16"),
    "DEPTHWISE_CONV_2D": Typed(
        "depthwise_conv.h", "Register_DEPTHWISE_CONV_2D_INT8", "Register_DEPTHWISE_CONV_2D_INT16"
    ),
    "FULLY_CONNECTED": Typed(
        "fully_connected.h", "Register_FULLY_CONNECTED_INT8", "Register_FULLY_CONNECTED_INT16"
    ),
    "MAXIMUM": Typed("maximum_minimum.h", "Register_MAXIMUM_INT8"),
    "MAX_POOL_2D": Typed("pooling.h", "Register_MAX_POOL_2D_INT8", "Register_MAX_POOL_2D_INT16"),
    "MINIMUM": Typed("maximum_minimum.h", "Register_MINIMUM_INT8"),
    "MUL": Typed("mul.h", "Register_MUL_INT8"),
    "PAD": Typed("pad.h", "Register_PAD_INT8"),
    "SOFTMAX": Typed("softmax.h", "Register_SOFTMAX_INT8", "Register_SOFTMAX_INT16"),
    "SVDF": Typed("svdf.h", "Register_SVDF_INT8"),
    "TRANSPOSE": Typed("transpose.h", "Register_TRANSPOSE_INT8"),
    "TRANSPOSE_CONV": Typed("transpose_conv.h", "Register_TRANSPOSE_CONV_INT8"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Typed(
        "unidirectional_sequence_lstm.h",
        "Register_UNIDIRECTIONAL_SEQUENCE_LSTM_INT8",
        "Register_UNIDIRECTIONAL_SEQUENCE_LSTM_INT16",
    ),
}
