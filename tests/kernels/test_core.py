"""Every kernel on the cores it is for, emulated: what the host cannot show of compilers and DSP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernels import batch, core_run
from tests.kernels.building import COMMON, Builder
from tests.kernels.conftest import CASES, SEED, objects_folder
from tests.support import require
from tinydeploy import cores, toolchains
from tinydeploy.ops import OPERATORS
from tinydeploy.paths import KERNELS

# GCC and clang on a core with DSP and on the smallest one; a core in between.
TARGETS = (
    ("cortex-m4", "arm-gnu"),
    ("cortex-m4", "zig"),
    ("cortex-m3", "arm-gnu"),
    ("cortex-m0", "arm-gnu"),
    ("cortex-m0", "zig"),
)


@pytest.mark.toolchain
@pytest.mark.parametrize(("core_name", "toolchain"), TARGETS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_kernels_equal_reference(
    operator: str, core_name: str, toolchain: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    require(toolchain, "unicorn")
    core = cores.find(core_name)
    builder = Builder(toolchains.find(toolchain), core, objects_folder(pytestconfig))
    variants = batch.variants_of(batch.draw_cases(operator, CASES, SEED), core.isas)

    (tmp_path / "batch.ld").write_text(core_run.SCRIPT)
    models = tmp_path / "models.c"
    models.write_text(batch.source_of(variants))
    objects = [
        *builder.compile_all([KERNELS / name for name in batch.kernel_sources(variants)]),
        builder.compile(COMMON / "libc.c", builder.toolchain.memory_function_flags()),
        builder.compile(models, ["-O0"]),
    ]
    program = builder.link(objects, tmp_path / "batch.elf", tmp_path / "batch.ld")
    difference = batch.first_difference(variants, core_run.run(core, program, variants))
    if difference:
        pytest.fail(difference, pytrace=False)
