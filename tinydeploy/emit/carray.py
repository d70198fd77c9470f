"""Bytes as a C array."""

from __future__ import annotations

_PER_LINE = 20


def bytes_text(content: bytes) -> str:
    """The elements of an array of bytes, in lines that end in a newline."""
    lines = (content[i : i + _PER_LINE] for i in range(0, len(content), _PER_LINE))
    return "".join("    " + ", ".join(map(str, line)) + ",\n" for line in lines)


def c_array(content: bytes, name: str, generated: str) -> str:
    """A C or C++ file that defines the bytes as a constant, aligned to 16.

    Args:
        content: At least one byte.
        name: The array's, an identifier; its size is `name`_bytes. Declared in model_data.h.
        generated: The comment at its top.
    """
    return (
        f'/* {generated} */\n#include "model_data.h"\n\n'
        f"const unsigned char {name}[{len(content)}] __attribute__((aligned(16))) = {{\n"
        f"{bytes_text(content)}}};\n"
    )


def c_array_header(content: bytes, name: str, generated: str) -> str:
    """model_data.h: what `c_array()` defines."""
    return f"""\
/* {generated} */
#ifndef TD_MODEL_DATA_H
#define TD_MODEL_DATA_H

#ifdef __cplusplus
extern "C" {{
#endif

enum {{ {name}_bytes = {len(content)} }};

/* The .tflite file. Aligned to 16, as TFLite's tensors must be. */
extern const unsigned char {name}[{len(content)}];

#ifdef __cplusplus
}}
#endif

#endif
"""
