"""td_fixedpoint.h and td_simd.h against tinydeploy/fixedpoint.py, ties and extremes included."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import require
from tinydeploy.fixedpoint import multiply_by_quantized_multiplier
from tinydeploy.paths import KERNELS
from tinydeploy.toolchains import host

_PROGRAM = """
#include <stdio.h>
#include "td_simd.h"

int main(void) {
  int32_t row[4];
  while (fread(row, sizeof row, 1, stdin) == 1) {
    const int32_t a = row[0], m = row[1], shift = row[2], offset = row[3];
    int32_t answer[3] = {td_requantize(a, m, shift), 0, 0};
    if (shift < 0) {
      const td_record record = {0, (int32_t)(2u * (uint32_t)m),
                                (int32_t)-(1LL << (32 + shift)), offset};
      answer[1] = td_finish(record, a);
      const td_record upper = {0, m, (int32_t)-(1LL << (32 + shift)) >> 7, offset};
      answer[2] = td_finish_upper(upper, (int32_t)(256u * (uint32_t)a));
    }
    fwrite(answer, sizeof answer, 1, stdout);
  }
  return 0;
}
"""


def _rows() -> NDArray[np.int32]:
    """[n, 4] of accumulator, multiplier, shift, offset."""
    rng = np.random.default_rng(5)
    count = 60_000
    shifts = rng.integers(-31, 31, count)
    multipliers = rng.integers(1 << 30, 1 << 31, count)
    multipliers[::5] = 1 << 30
    multipliers[1::50] = (1 << 31) - 1
    magnitudes = rng.integers(0, 32, count)
    accumulators = rng.integers(-(1 << 31), 1 << 31, count) >> magnitudes
    # Ties of the second rounding: odd halves of a power of two, from both signs.
    ties = slice(0, count, 3)
    halves = (2 * rng.integers(-40, 40, count)[ties] + 1) << np.minimum(-shifts[ties] + 20, 24)
    accumulators[ties] = np.where(shifts[ties] < -1, halves >> 20, accumulators[ties])
    multipliers[ties] = np.where(rng.random(len(halves)) < 0.5, 1 << 30, multipliers[ties])
    edges = [
        (a, m, s)
        for a in (-(1 << 31), -(1 << 31) + 1, -(1 << 30), -3, -2, -1, 0, 1, 2, 3, (1 << 31) - 1)
        for m in (1 << 30, (1 << 30) + 1, (1 << 31) - 1)
        for s in (-31, -30, -9, -2, -1, 0, 1, 30)
    ]
    drawn = np.stack([accumulators, multipliers, shifts], axis=1)
    rows = np.concatenate([drawn, np.array(edges)])
    offsets = rng.integers(-128, 128, len(rows))
    return np.column_stack([rows, offsets]).astype(np.int32)


@pytest.mark.toolchain
@pytest.mark.parametrize("defines", [[], ["-D__ARM_ARCH=6"]], ids=["64-bit", "armv6-m"])
def test_c_equals_python(defines: list[str], tmp_path: Path) -> None:
    require("host-cc")
    source, program = tmp_path / "requantise.c", tmp_path / "requantise"
    source.write_text(_PROGRAM)
    toolchain = host.find()
    argv = [*toolchain.cc, "-std=c99", "-O1", *defines, f"-I{KERNELS}", source, "-o", program]
    subprocess.run(argv, check=True)
    rows = _rows()
    run = subprocess.run([program], input=rows.tobytes(), capture_output=True, check=True)
    answers = np.frombuffer(run.stdout, np.int32).reshape(-1, 3)

    accumulators, multipliers, shifts, offsets = rows.T
    expected = multiply_by_quantized_multiplier(accumulators, multipliers, shifts)
    np.testing.assert_array_equal(answers[:, 0], expected)
    fast = shifts < 0
    saturated = np.clip(expected.astype(np.int64) + offsets, -128, 127)
    np.testing.assert_array_equal(answers[fast, 1], saturated[fast])
    # Of 24 bits, and no shift that makes 0 of all of them.
    upper = fast & (shifts >= -25) & (accumulators >= -(1 << 23)) & (accumulators < 1 << 23)
    assert np.count_nonzero(upper) > len(rows) // 8
    np.testing.assert_array_equal(answers[upper, 2], saturated[upper])
