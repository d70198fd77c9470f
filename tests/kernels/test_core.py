"""Every kernel on the cores it is for, emulated: what the host cannot show of compilers and DSP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernels import batch, core_run
from tests.kernels.building import COMMON, Builder
from tests.kernels.conftest import CASES, SEED, objects_folder
from tests.kernels.trailing import trailing
from tests.support import require
from tinydeploy import cores, toolchains
from tinydeploy.ops import OPERATORS
from tinydeploy.paths import KERNELS
from tinydeploy.plan.plan import Optimize

# GCC and clang on cores with DSP, with and without a floating-point unit, and on smaller ones.
Target = tuple[str, cores.Fpu, str]
TARGETS: tuple[Target, ...] = (
    ("cortex-m4", "single", "arm-gnu"),
    ("cortex-m4", "none", "zig"),
    ("cortex-m33", "single", "zig"),
    ("cortex-m3", "none", "arm-gnu"),
    ("cortex-m0", "none", "arm-gnu"),
    ("cortex-m0", "none", "zig"),
)


# Kernels of these have a smaller form.
SMALL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.mark.toolchain
@pytest.mark.parametrize("target", TARGETS, ids="-".join)
@pytest.mark.parametrize("operator", OPERATORS)
def test_kernels_equal_reference(
    operator: str, target: Target, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    check(operator, target, Optimize.SPEED, tmp_path, pytestconfig)


@pytest.mark.toolchain
@pytest.mark.parametrize("target", [TARGETS[0], TARGETS[1], TARGETS[4]], ids="-".join)
@pytest.mark.parametrize("operator", SMALL)
def test_kernels_for_size(
    operator: str, target: Target, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    check(operator, target, Optimize.SIZE, tmp_path, pytestconfig)


def check(
    operator: str, target: Target, optimize: Optimize, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    core_name, fpu, toolchain = target
    require(toolchain, "unicorn")
    core = cores.find(core_name, fpu)
    builder = Builder(toolchains.find(toolchain), core, objects_folder(pytestconfig), optimize)
    variants = batch.variants_of(batch.draw_cases(operator, CASES, SEED), core.isas)
    variants = (*variants, *trailing(variants))

    (tmp_path / "batch.ld").write_text(core_run.SCRIPT)
    models = tmp_path / "models.c"
    models.write_text(batch.source_of(variants))
    objects = [
        *builder.compile_all([KERNELS / name for name in batch.kernel_sources(variants)]),
        builder.compile(COMMON / "libc.c", builder.toolchain.memory_function_flags()),
        builder.compile(models, ["-O0"], tmp_path),
    ]
    program = builder.link(objects, tmp_path / "batch.elf", tmp_path / "batch.ld")
    difference = batch.first_difference(variants, core_run.run(core, program, variants))
    if difference:
        pytest.fail(difference, pytrace=False)
