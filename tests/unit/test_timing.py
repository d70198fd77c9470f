"""Timing: what instructions are taken for, and what they cost."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import require
from tinydeploy.runners.tracing import Executed
from tinydeploy.timing.estimate import Work, estimate
from tinydeploy.timing.tables import TIMINGS
from tinydeploy.timing.thumb import Kind, decode, instructions

# Assembly of each kind and its encoding, by GNU as.
KINDS = {
    "adds r0, r1, r2": (0x1888, 0, Kind.ALU),
    "muls r0, r1": (0x4348, 0, Kind.MUL),
    "bx lr": (0x4770, 0, Kind.BRANCH_TO),
    "mov pc, lr": (0x46F7, 0, Kind.BRANCH_TO),
    "mov r8, r0": (0x4680, 0, Kind.ALU),
    "cbz r5, .+38": (0xB18D, 0, Kind.BRANCH_IF),
    "ite ne": (0xBF14, 0, Kind.IT),
    "nop": (0xBF00, 0, Kind.ALU),
    "smlad r0, r1, r2, r3": (0xFB21, 0x3002, Kind.DSP),
    "mla r0, r1, r2, r3": (0xFB01, 0x3002, Kind.MLA),
    "mul.w r0, r1, r8": (0xFB01, 0xF008, Kind.MUL),
    "smull r0, r1, r2, r3": (0xFB82, 0x0103, Kind.MULL),
    "smlal r0, r1, r2, r3": (0xFBC2, 0x0103, Kind.MLAL),
    "smlald r0, r1, r2, r3": (0xFBC2, 0x01C3, Kind.DSP),
    "sdiv r0, r1, r2": (0xFB91, 0xF0F2, Kind.DIV),
    "sxtb16 r0, r1": (0xFA2F, 0xF081, Kind.ALU),
    "ldrd r0, r1, [r2]": (0xE9D2, 0x0100, Kind.LOAD_PAIR),
    "tbb [pc, r0]": (0xE8DF, 0xF000, Kind.TABLE),
    "vmla.f32 s0, s1, s2": (0xEE00, 0x0A81, Kind.FLOAT_MAC),
    "vldr s0, [r0]": (0xED90, 0x0A00, Kind.FLOAT_LOAD),
    "le lr, .-8": (0xF00F, 0xC005, Kind.LOOP_END),
    "dls lr, r0": (0xF040, 0xE001, Kind.LOOP),
    "vctp.8 r0": (0xF000, 0xE801, Kind.VECTOR),
}


@pytest.mark.parametrize("assembly", KINDS)
def test_decode_tells_kinds_apart(assembly: str) -> None:
    first, second, kind = KINDS[assembly]
    assert decode(first, second).kind is kind


@pytest.mark.parametrize(
    ("first", "second", "count", "loaded", "stored"),
    [
        (0x6808, 0, 1, 4, 0),  # ldr r0, [r1]
        (0x7008, 0, 1, 0, 1),  # strb r0, [r1]
        (0xBDF0, 0, 5, 20, 0),  # pop {r4-r7, pc}
        (0xE92D, 0x47F0, 8, 0, 32),  # push {r4-r10, lr}
        (0xE9D2, 0x0100, 2, 8, 0),  # ldrd
        (0xED90, 0x0B00, 2, 8, 0),  # vldr d0
        (0xED2D, 0x8B04, 4, 0, 16),  # vpush {d8-d9}
        (0xEE10, 0x0A10, 1, 0, 0),  # vmov r0, s0
        (0xEC53, 0x2A10, 2, 0, 0),  # vmov r2, r3, s0, s1
        (0xED90, 0x1E00, 1, 16, 0),  # vldrb.8 q0, [r0]
        (0xFD90, 0x0E80, 1, 8, 0),  # vldrb.u16 q0, [r0]
    ],
)
def test_decode_counts_registers_and_bytes(
    first: int, second: int, count: int, loaded: int, stored: int
) -> None:
    found = decode(first, second)
    assert (found.count, found.loaded, found.stored) == (count, loaded, stored)


def _cycles(core: str, *halfwords: int, executions: int = 1, jumps: int = 0) -> Work:
    code = b"".join(h.to_bytes(2, "little") for h in halfwords)
    return estimate([Executed(0, code, executions, jumps)], TIMINGS[core])


def test_loads_in_a_row_are_pipelined_unless_they_depend() -> None:
    """DDI 0439, 3.3.3: LDR R0,[R1]; LDR R1,[R2] take three cycles."""
    assert _cycles("cortex-m4", 0x6808, 0x6811).likely == 3
    # ldr r0, [r1]; ldr r2, [r0]
    assert _cycles("cortex-m4", 0x6808, 0x6802).likely == 4
    # ldr r0, [r1, r2]; str r1, [r3, r2]: three
    assert _cycles("cortex-m4", 0x5888, 0x5099).likely == 3
    # three loads: four
    assert _cycles("cortex-m4", 0x5948, 0x6811, 0x685A).likely == 4
    assert _cycles("cortex-m0", 0x6808, 0x6811).likely == 4


def test_a_taken_branch_fills_the_pipeline_again() -> None:
    bne = 0xD1FC
    assert _cycles("cortex-m0", bne, executions=10, jumps=9).likely == 10 + 9 * 2
    assert _cycles("cortex-m0plus", bne, executions=10, jumps=9).likely == 10 + 9
    four = _cycles("cortex-m4", bne, executions=10, jumps=9)
    assert (four.least, four.likely, four.most) == (19, 28, 37)


@pytest.mark.parametrize(
    ("core", "likely"),
    [("cortex-m0", 6), ("cortex-m0plus", 5), ("cortex-m3", 5), ("cortex-m4", 5)],
)
def test_pop_to_pc(core: str, likely: int) -> None:
    assert _cycles(core, 0xBD10, jumps=1).likely == likely  # pop {r4, pc}


def test_helium_overlaps_memory_with_arithmetic() -> None:
    vldr, vmladav, le = (0xED90, 0x1E00), (0xEEF0, 0x0E02), (0xF00F, 0xC005)
    assert _cycles("cortex-m55", *vldr, *vmladav).likely == 1 + 2
    # In a loop the next load runs beside the multiplication.
    assert _cycles("cortex-m55", *vldr, *vmladav, *le, executions=8, jumps=7).likely == 16
    assert _cycles("cortex-m55", *vldr, *vldr).likely == 4


def test_two_instructions_a_cycle_are_a_bound_only() -> None:
    work = _cycles("cortex-m7", 0x1888, 0x1888, 0x1888, 0x1888)
    assert (work.least, work.most) == (2, 4)
    assert _cycles("cortex-m7", 0x4348, 0x4348).least == 2  # one multiplier


HELIUM = {
    Kind.VECTOR_MAC: (
        "vmladava.s8 r0, q1, q2", "vmladav.s16 r2, q1, q2", "vmladavax.s8 r0, q1, q2",
        "vmlaldava.s16 r0, r1, q1, q2", "vrmlaldavha.s32 r0, r1, q1, q2",
        "vqrdmulh.s32 q0, q1, q2", "vqrdmulh.s32 q0, q1, r2", "vqdmulh.s32 q0, q1, r2",
        "vqrdmlah.s32 q0, q1, r2", "vqrdmlash.s32 q0, q1, r2", "vmul.i32 q0, q1, q2",
        "vmul.i32 q0, q1, r2", "vmla.s32 q0, q1, r2", "vmlas.s32 q0, q1, r2",
        "vmullb.s8 q0, q1, q2", "vmullt.s16 q0, q1, q2", "vmulh.s32 q0, q1, q2",
        "vrmulh.s8 q0, q1, q2",
    ),
    Kind.VECTOR: (
        "vadd.i32 q0, q1, q2", "vadd.i32 q0, q1, r2", "vaddva.s8 r0, q1", "vaddv.s32 r0, q1",
        "vmax.s32 q0, q1, q2", "vmin.s8 q0, q1, q2", "vmaxv.s8 r0, q1", "vrshl.s32 q0, q1",
        "vshlc q0, r0, #8", "vdup.8 q0, r0", "vcmp.s32 gt, q0, q1", "vcmp.s32 gt, q0, r1", "vpst",
        "vpsel q0, q1, q2", "vctp.8 r0", "vqmovnb.s16 q0, q1", "vmovlb.s8 q0, q1", "vmov q0, q1",
        "vmov.i32 q0, #0", "veor q0, q1, q2", "vrshr.s32 q0, q1, #3", "vrshl.s32 q0, r2",
        "vqshl.s32 q0, q1, #2", "vmovnb.i16 q0, q1", "vidup.u8 q0, r0, #1", "vabs.s8 q0, q1",
    ),
    Kind.VECTOR_LOAD: (
        "vldrb.8 q0, [r0]", "vldrb.u16 q0, [r0], #8", "vldrw.32 q0, [r0, #16]",
    ),
    Kind.VECTOR_STORE: ("vstrb.8 q0, [r0], #16", "vstrb.32 q0, [r0]"),
    Kind.VECTOR_GATHER: (
        "vldrb.u8 q0, [r0, q1]", "vldrw.u32 q0, [r0, q1, uxtw #2]", "vldrw.u32 q0, [q1, #4]",
        "vstrb.8 q0, [r0, q1]", "vld40.8 {q0, q1, q2, q3}, [r0]",
    ),
    Kind.FLOAT_MOVE: ("vmov r0, r1, q0[2], q0[0]", "vmov.32 q0[0], r1", "vmsr p0, r0"),
    Kind.LOOP: ("dlstp.8 lr, r0", "dls lr, r0"),
}  # fmt: skip


@pytest.mark.toolchain
@pytest.mark.parametrize("kind", HELIUM)
def test_helium_is_told_apart(kind: Kind, tmp_path: Path) -> None:
    require("arm-gnu")
    lines = HELIUM[kind]
    # VPST makes the next instruction conditional, for which it must be written so.
    text = "".join(f"{line}\n" + "vabst.s8 q0, q1\n" * (line == "vpst") for line in lines)
    source, made, binary = (tmp_path / name for name in ("a.s", "a.o", "a.bin"))
    source.write_text(f".syntax unified\n.thumb\n{text}")
    gcc = shutil.which("arm-none-eabi-gcc")
    assert gcc
    flags = ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard")
    subprocess.run([gcc, *flags, "-c", source, "-o", made], check=True, timeout=60)
    objcopy = gcc.replace("gcc", "objcopy")
    subprocess.run([objcopy, "-O", "binary", "-j", ".text", made, binary], check=True, timeout=60)
    found = instructions(binary.read_bytes())
    told = [line for line in text.splitlines() if line]
    assert {line for line, i in zip(told, found, strict=True) if i.kind is not kind} == set()


# Beginnings of mnemonics, as objdump prints them, of what is not data processing.
MNEMONICS = (
    (("muls", "mul"), {Kind.MUL}),
    (("mla", "mls"), {Kind.MLA}),
    (("smull", "umull"), {Kind.MULL}),
    (("smlal", "umlal", "umaal"), {Kind.MLAL, Kind.DSP}),
    (("smlad", "smla", "smul", "smuad", "smmla", "smmul", "smusd", "smmls"), {Kind.DSP}),
    (("sdiv", "udiv"), {Kind.DIV}),
    (("ldrd",), {Kind.LOAD_PAIR}),
    (("strd",), {Kind.STORE_PAIR}),
    (("ldrex", "ldr"), {Kind.LOAD}),
    (("str",), {Kind.STORE}),
    (("ldm", "pop"), {Kind.LOAD_MANY, Kind.LOAD}),
    (("stm", "push"), {Kind.STORE_MANY, Kind.STORE}),
    (("mov",), {Kind.ALU, Kind.BRANCH_TO}),  # also to PC
    (("cbz", "cbnz"), {Kind.BRANCH_IF}),
    # What binutils 2.40 takes some of Helium for; test_helium_is_told_apart() has these.
    (("bfcsel",), {Kind.VECTOR}),
    (("cdp",), {Kind.VECTOR, Kind.VECTOR_MAC}),
    (("ldc",), {Kind.FLOAT_MOVE, Kind.VECTOR_LOAD, Kind.VECTOR_GATHER}),
    (("stc",), {Kind.FLOAT_MOVE, Kind.VECTOR_STORE, Kind.VECTOR_GATHER}),
    (("bfi", "bfc", "bic", "bkpt"), {Kind.ALU, Kind.SYSTEM}),
    (("blx", "bx"), {Kind.BRANCH_TO}),
    (("ble", "blt", "bls"), {Kind.BRANCH_IF}),
    (("bl",), {Kind.CALL}),
    (("b.", "b"), {Kind.BRANCH, Kind.BRANCH_IF}),
    (("tbb", "tbh"), {Kind.TABLE}),
    (("le", "letp"), {Kind.LOOP_END}),
    (("dls", "wls"), {Kind.LOOP}),
    (("it",), {Kind.IT}),
    (("mrs", "msr", "cps", "svc", "udf"), {Kind.SYSTEM}),
    (("dmb", "dsb", "isb"), {Kind.BARRIER}),
    (("vpush", "vstm"), {Kind.FLOAT_STORE}),
    (("vpop", "vldm"), {Kind.FLOAT_LOAD}),
    (("vldr",), {Kind.VECTOR_LOAD, Kind.VECTOR_GATHER, Kind.FLOAT_LOAD}),
    (("vstr",), {Kind.VECTOR_STORE, Kind.VECTOR_GATHER, Kind.FLOAT_STORE}),
    (("vld2", "vld4", "vst2", "vst4"), {Kind.VECTOR_GATHER}),
    (("vmladav", "vmlaldav", "vmlsdav", "vrmlaldavh"), {Kind.VECTOR_MAC}),
    (("vmull", "vmulh", "vrmulh", "vqrdmulh", "vqdmulh", "vmul.i", "vmla.i", "vmlas", "vqrdml"),
     {Kind.VECTOR_MAC}),
    (("vmla.f", "vmls.f", "vnmla", "vfma", "vfms"), {Kind.FLOAT_MAC}),
    (("vdiv", "vsqrt"), {Kind.FLOAT_DIV}),
    (("vmrs", "vmsr"), {Kind.FLOAT_MOVE}),
    (("vmov", "vadd", "vsub", "vmul", "vcvt", "vcmp", "vcmpe", "vneg", "vabs", "vrint", "vsel",
      "vmaxnm", "vminnm", "vnmul"),
     {Kind.FLOAT, Kind.FLOAT_MOVE, Kind.VECTOR}),
    (("v",), {Kind.VECTOR}),
)  # fmt: skip


def _expected(mnemonic: str) -> set[Kind]:
    for beginnings, kinds in MNEMONICS:
        if mnemonic.startswith(beginnings):
            return kinds
    return {Kind.ALU}


def _disassembled(gcc: str, path: Path) -> str:
    # One file at a time: of several, objdump 2.40 knows only the first one's instruction set.
    objdump = gcc.replace("gcc", "objdump")
    argv = [objdump, "-d", "--no-addresses", str(path)]
    return subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True).stdout


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("core", "flags"),
    [
        ("cortex-m0", ("-mfloat-abi=soft",)),
        ("cortex-m4", ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
        ("cortex-m55", ("-mfloat-abi=hard", "-mfpu=auto")),
    ],
)
def test_decode_agrees_with_objdump_on_the_kernels(
    core: str, flags: tuple[str, ...], tmp_path: Path
) -> None:
    require("arm-gnu")
    kernels = Path(__file__).resolve().parents[2] / "tinydeploy" / "kernels"
    wanted = {"cortex-m0": ("scalar",), "cortex-m4": ("dsp", "scalar"), "cortex-m55": ("mve",)}
    sources = [p for isa in wanted[core] for p in sorted(kernels.glob(f"*__{isa}.c"))]
    gcc = shutil.which("arm-none-eabi-gcc")
    assert gcc
    argv = [gcc, f"-mcpu={core}", "-mthumb", *flags, "-O2", "-I", str(kernels), "-c"]
    subprocess.run([*argv, *map(str, sources)], check=True, timeout=300, cwd=tmp_path)
    listing = "".join(_disassembled(gcc, path) for path in sorted(tmp_path.glob("*.o")))
    failures = set()
    seen = 0
    for line in listing.splitlines():
        encoding, _, text = line.strip().partition(" \t")
        words = encoding.split()
        mnemonic = text.split("\t")[0].strip()
        if any(len(word) != 4 for word in words) or not mnemonic or mnemonic.startswith("."):
            continue
        found = decode(*(int(word, 16) for word in words))
        seen += 1
        if found.kind not in _expected(mnemonic) or found.bytes != 2 * len(words):
            failures.add((mnemonic, encoding, found.kind.name))
    assert seen > 1000
    assert not failures


def test_a_block_is_cut_into_instructions() -> None:
    code = bytes.fromhex("2de9f047") + bytes.fromhex("0468") + bytes.fromhex("7047")
    assert [i.kind for i in instructions(code)] == [Kind.STORE_MANY, Kind.LOAD, Kind.BRANCH_TO]
