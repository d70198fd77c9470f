"""Every kernel with Helium on an emulated Cortex-M55, by both compilers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernels import batch, m55_run
from tests.kernels.conftest import CASES, SEED, objects_folder
from tests.kernels.trailing import trailing
from tests.support import require
from tinydeploy import toolchains
from tinydeploy.ops import OPERATORS
from tinydeploy.plan.plan import Isa

WITH_HELIUM = [
    name for name, operator in OPERATORS.items() if any(k.isa is Isa.MVE for k in operator.KERNELS)
]


@pytest.mark.toolchain
@pytest.mark.emulator
@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
@pytest.mark.parametrize("operator", WITH_HELIUM)
def test_kernels_equal_reference(
    operator: str, toolchain: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    require(toolchain, "qemu")
    variants = batch.variants_of(batch.draw_cases(operator, 3 * CASES, SEED), (Isa.MVE,))
    untried = {k.name for k in OPERATORS[operator].KERNELS if k.isa is Isa.MVE} - {
        v.kernel.name for v in variants if v.kernel
    }
    assert not untried, f"no case was for {sorted(untried)}: draw more, or others"
    variants = (*variants, *trailing(variants))
    found = toolchains.find(toolchain)
    program = m55_run.build(found, variants, tmp_path, objects_folder(pytestconfig))
    difference = batch.first_difference(variants, m55_run.run(program, variants))
    if difference:
        pytest.fail(difference, pytrace=False)
