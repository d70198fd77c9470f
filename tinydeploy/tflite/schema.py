"""The `.tflite` schema, version 3: the names and numbers that reader and writer share.

Slots are the numbers of a table's fields, counted from 0; a union takes two of them.

Source:
    schema.fbs of TensorFlow Lite (file identifier TFL3), Apache-2.0.
"""

from __future__ import annotations

from enum import Enum, IntEnum

FILE_IDENTIFIER = b"TFL3"
VERSION = 3

# Constant data start at a multiple of this in the file.
BUFFER_ALIGNMENT = 16

CUSTOM = 32

# All builtin operators, by their code.
_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG
PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD
REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE
RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D
IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP
STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE
STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW
STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATOR_NAMES: tuple[str, ...] = tuple(_NAMES.split())

OPERATOR_CODES: dict[str, int] = {name: code for code, name in enumerate(OPERATOR_NAMES)}

# The byte-wide opcode field of old files ends at this number, which stands for a larger one.
LARGEST_DEPRECATED_CODE = 127


class TensorType(IntEnum):
    """The element types of the schema."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    STRING = 5
    BOOL = 6
    INT16 = 7
    COMPLEX64 = 8
    INT8 = 9
    FLOAT64 = 10
    COMPLEX128 = 11
    UINT64 = 12
    RESOURCE = 13
    VARIANT = 14
    UINT32 = 15
    UINT16 = 16
    INT4 = 17
    BFLOAT16 = 18
    INT2 = 19
    UINT4 = 20
    FLOAT8_E4M3FN = 21
    FLOAT8_E5M2 = 22


class Padding(IntEnum):
    """The padding of convolutions and pools."""

    SAME = 0
    VALID = 1


# ---- Tables: the slots of their fields ----------------------------------------------------


class ModelSlot(IntEnum):
    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    DESCRIPTION = 3
    BUFFERS = 4
    METADATA_BUFFER = 5
    METADATA = 6
    SIGNATURE_DEFS = 7
    EXTERNAL_BUFFER_GROUPS = 8
    EXTERNAL_BUFFERS = 9


class OperatorCodeSlot(IntEnum):
    DEPRECATED_BUILTIN_CODE = 0
    CUSTOM_CODE = 1
    VERSION = 2
    BUILTIN_CODE = 3


class SubGraphSlot(IntEnum):
    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2
    OPERATORS = 3
    NAME = 4


class TensorSlot(IntEnum):
    SHAPE = 0
    TYPE = 1
    BUFFER = 2
    NAME = 3
    QUANTIZATION = 4
    IS_VARIABLE = 5
    SPARSITY = 6
    SHAPE_SIGNATURE = 7
    HAS_RANK = 8
    VARIANT_TENSORS = 9
    EXTERNAL_BUFFER = 10


class QuantizationSlot(IntEnum):
    MIN = 0
    MAX = 1
    SCALE = 2
    ZERO_POINT = 3
    DETAILS_TYPE = 4
    DETAILS = 5
    QUANTIZED_DIMENSION = 6


class OperatorSlot(IntEnum):
    OPCODE_INDEX = 0
    INPUTS = 1
    OUTPUTS = 2
    BUILTIN_OPTIONS_TYPE = 3
    BUILTIN_OPTIONS = 4
    CUSTOM_OPTIONS = 5
    CUSTOM_OPTIONS_FORMAT = 6
    MUTATING_VARIABLE_INPUTS = 7
    INTERMEDIATES = 8
    LARGE_CUSTOM_OPTIONS_OFFSET = 9
    LARGE_CUSTOM_OPTIONS_SIZE = 10
    BUILTIN_OPTIONS_2_TYPE = 11
    BUILTIN_OPTIONS_2 = 12


class SignatureDefSlot(IntEnum):
    INPUTS = 0
    OUTPUTS = 1
    SIGNATURE_KEY = 2
    DEPRECATED_TAG = 3
    SUBGRAPH_INDEX = 4


class BufferSlot(IntEnum):
    DATA = 0
    OFFSET = 1
    SIZE = 2


# ---- Options: which table an operator has, and the slots of its fields ----------------------

# The number of an operator's table in the union BuiltinOptions; operators without one are absent.
OPTIONS_TYPES: dict[str, int] = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5,
    "FULLY_CONNECTED": 8,
    "SOFTMAX": 9,
    "CONCATENATION": 10,
    "ADD": 11,
    "RESHAPE": 17,
    "MUL": 21,
    "PAD": 22,
    "TRANSPOSE": 26,
    "MEAN": 27,
    "SUB": 28,
    "DEQUANTIZE": 38,
    "LEAKY_RELU": 75,
    "QUANTIZE": 89,
    "HARD_SWISH": 91,
}


# (fewest, most) inputs of an operator; those that take any number are absent.
INPUT_COUNTS: dict[str, tuple[int, int]] = {
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 3),
    "AVERAGE_POOL_2D": (1, 1),
    "MAX_POOL_2D": (1, 1),
    "ADD": (2, 2),
    "SUB": (2, 2),
    "MUL": (2, 2),
    "PAD": (2, 2),
    "TRANSPOSE": (2, 2),
    "MEAN": (2, 2),
    "RESHAPE": (1, 2),
    "SOFTMAX": (1, 1),
    "LOGISTIC": (1, 1),
    "TANH": (1, 1),
    "RELU": (1, 1),
    "RELU6": (1, 1),
    "LEAKY_RELU": (1, 1),
    "HARD_SWISH": (1, 1),
    "QUANTIZE": (1, 1),
    "DEQUANTIZE": (1, 1),
}


class Kind(Enum):
    """The type of a field of an options table."""

    BOOLEAN = "boolean"
    INT8 = "int8"
    INT32 = "int32"
    FLOAT32 = "float32"
    INT32_VECTOR = "int32_vector"


_B, _I = Kind.INT8, Kind.INT32

# The types of the fields, by slot; operators whose options have no fields are absent.
OPTION_KINDS: dict[str, tuple[Kind, ...]] = {
    "CONV_2D": (_B, _I, _I, _B, _I, _I),
    "DEPTHWISE_CONV_2D": (_B, _I, _I, _I, _B, _I, _I),
    "AVERAGE_POOL_2D": (_B, _I, _I, _I, _I, _B),
    "MAX_POOL_2D": (_B, _I, _I, _I, _I, _B),
    "FULLY_CONNECTED": (_B, _B, Kind.BOOLEAN, Kind.BOOLEAN),
    "SOFTMAX": (Kind.FLOAT32,),
    "CONCATENATION": (_I, _B),
    "ADD": (_B, Kind.BOOLEAN),
    "RESHAPE": (Kind.INT32_VECTOR,),
    "MUL": (_B,),
    "MEAN": (Kind.BOOLEAN,),
    "SUB": (_B, Kind.BOOLEAN),
    "LEAKY_RELU": (Kind.FLOAT32,),
}


class Conv2DOptions(IntEnum):
    PADDING = 0  # int8
    STRIDE_W = 1  # int32
    STRIDE_H = 2  # int32
    FUSED_ACTIVATION = 3  # int8
    DILATION_W = 4  # int32, default 1
    DILATION_H = 5  # int32, default 1
    QUANTIZED_BIAS_TYPE = 6  # int8, a TensorType


class DepthwiseConv2DOptions(IntEnum):
    PADDING = 0  # int8
    STRIDE_W = 1  # int32
    STRIDE_H = 2  # int32
    DEPTH_MULTIPLIER = 3  # int32
    FUSED_ACTIVATION = 4  # int8
    DILATION_W = 5  # int32, default 1
    DILATION_H = 6  # int32, default 1


class Pool2DOptions(IntEnum):
    PADDING = 0  # int8
    STRIDE_W = 1  # int32
    STRIDE_H = 2  # int32
    FILTER_WIDTH = 3  # int32
    FILTER_HEIGHT = 4  # int32
    FUSED_ACTIVATION = 5  # int8


class FullyConnectedOptions(IntEnum):
    FUSED_ACTIVATION = 0  # int8
    WEIGHTS_FORMAT = 1  # int8, 0 is row-major
    KEEP_NUM_DIMS = 2  # bool
    ASYMMETRIC_QUANTIZE_INPUTS = 3  # bool
    QUANTIZED_BIAS_TYPE = 4  # int8, a TensorType


class SoftmaxOptions(IntEnum):
    BETA = 0  # float32


class ConcatenationOptions(IntEnum):
    AXIS = 0  # int32
    FUSED_ACTIVATION = 1  # int8


class AddOptions(IntEnum):
    FUSED_ACTIVATION = 0  # int8
    POT_SCALE_INT16 = 1  # bool, default true


class SubOptions(IntEnum):
    FUSED_ACTIVATION = 0  # int8
    POT_SCALE_INT16 = 1  # bool, default true


class MulOptions(IntEnum):
    FUSED_ACTIVATION = 0  # int8


class ReshapeOptions(IntEnum):
    NEW_SHAPE = 0  # int32 vector


class ReducerOptions(IntEnum):
    KEEP_DIMS = 0  # bool


class LeakyReluOptions(IntEnum):
    ALPHA = 0  # float32
