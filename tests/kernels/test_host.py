"""Every kernel on this machine, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import pytest

from tests.kernels import batch
from tests.kernels.building import Builder
from tests.kernels.conftest import CASES, SEED, objects_folder
from tests.kernels.trailing import trailing
from tests.support import require
from tinydeploy.cores import HOST
from tinydeploy.ops import OPERATORS
from tinydeploy.paths import KERNELS
from tinydeploy.plan.plan import Isa, Optimize
from tinydeploy.toolchains import host

ISAS = (Isa.DSP, Isa.SCALAR)
# Kernels of these have a smaller form.
SMALL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
MAIN = Path(__file__).with_name("host_main.c")


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("operator", "optimize"),
    [(name, Optimize.SPEED) for name in OPERATORS] + [(name, Optimize.SIZE) for name in SMALL],
)
def test_kernels_equal_reference(
    operator: str, optimize: Optimize, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    require("host-cc")
    builder = Builder(host.find(sanitize=True), HOST, objects_folder(pytestconfig), optimize)
    variants = batch.variants_of(batch.draw_cases(operator, CASES, SEED), ISAS)
    variants = (*variants, *trailing(variants))
    untried = {k.name for k in OPERATORS[operator].KERNELS if k.isa in ISAS} - {
        v.kernel.name for v in variants if v.kernel
    }
    assert not untried, f"no case was for {sorted(untried)}: draw more, or others"

    program = _build(builder, variants, tmp_path)
    content = b"".join(
        array.tobytes() for v in variants for arrays in v.case.inputs for array in arrays
    )
    # What it does not free is the case's own, not a leak.
    run = subprocess.run(
        [program], input=content, capture_output=True, timeout=300, check=False,
        env={"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"},
    )  # fmt: skip
    messages = run.stderr.decode(errors="replace")
    if run.returncode != 0:
        started = re.findall(r"^model (\d+)$", messages, re.MULTILINE)
        report = re.sub(r"^model \d+\n", "", messages, flags=re.MULTILINE)
        pytest.fail(f"{variants[int(started[-1])]!r}: {report[:4000]}", pytrace=False)
    difference = batch.first_difference(variants, _answers(variants, run.stdout))
    if difference:
        pytest.fail(difference, pytrace=False)


def _build(builder: Builder, variants: tuple[batch.Variant, ...], folder: Path) -> Path:
    (folder / "batch.h").write_text(batch.HEADER)
    models = folder / "models.c"
    models.write_text(batch.source_of(variants))
    sources = [KERNELS / name for name in batch.kernel_sources(variants)]
    objects = [
        *builder.compile_all(sources),
        builder.compile(models, ["-O0"], folder),
        builder.compile(MAIN, [f"-I{folder}"], folder),
    ]
    return builder.link(objects, folder / "batch")


def _answers(variants: tuple[batch.Variant, ...], content: bytes) -> list[list[bytes]]:
    stream = io.BytesIO(content)
    return [
        [stream.read(array.nbytes) for arrays in v.case.expected for array in arrays]
        for v in variants
    ]
