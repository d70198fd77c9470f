"""Every kernel compiles for the cores it is for, every warning an error, and looks as agreed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernels.building import Builder
from tests.kernels.conftest import objects_folder
from tests.support import require
from tinydeploy import cores, toolchains
from tinydeploy.ops import OPERATORS
from tinydeploy.paths import KERNELS
from tinydeploy.plan.plan import Isa, Optimize

# The instruction set of a kernel -> cores that have it.
CORES = {
    Isa.SCALAR: (("cortex-m0", "none"), ("cortex-m3", "none"), ("cortex-m4", "single")),
    Isa.DSP: (("cortex-m4", "single"), ("cortex-m33", "single"), ("cortex-m55", "double")),
    Isa.MVE: (("cortex-m55", "double"),),
}


def sources(isa: Isa) -> list[Path]:
    return sorted(KERNELS.glob(f"*__{isa.value}.c"))


@pytest.mark.toolchain
@pytest.mark.parametrize("optimize", Optimize)
@pytest.mark.parametrize(
    ("isa", "core", "fpu"), [(isa, *core) for isa, found in CORES.items() for core in found]
)
@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
def test_kernels_compile(
    toolchain: str,
    isa: Isa,
    core: str,
    fpu: cores.Fpu,
    optimize: Optimize,
    pytestconfig: pytest.Config,
) -> None:
    require(toolchain)
    builder = Builder(
        toolchains.find(toolchain), cores.find(core, fpu), objects_folder(pytestconfig), optimize
    )
    builder.compile_all(sources(isa))


def test_every_kernel_has_a_source_and_every_source_a_kernel() -> None:
    rows = {k.source for operator in OPERATORS.values() for k in operator.KERNELS}
    files = {path.name for path in KERNELS.glob("*.c")}
    assert files == rows


def test_every_operator_has_a_kernel_for_every_core() -> None:
    for operator in OPERATORS.values():
        if not operator.KERNELS:
            continue  # its output is its input
        assert operator.KERNELS[-1].isa is Isa.SCALAR, operator.NAME
