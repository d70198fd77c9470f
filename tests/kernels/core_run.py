"""Runs a batch on an emulated core by writing its memory: no board, no console, no start-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import unicorn
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from unicorn import arm_const

from tests.kernels.batch import Variant
from tinydeploy.cores import Core
from tinydeploy.plan.plan import Placement

SCRIPT = """\
ENTRY(batch)
SECTIONS {
  . = 0x08000000;
  .text : { *(.text*) *(.rodata*) }
  .ARM.exidx : { *(.ARM.exidx*) }
  . = 0x20000000;
  .data : { *(.data*) }
  .bss : { *(.bss*) *(COMMON) }
}
"""
_FLASH, _RAM = 0x08000000, 0x20000000
_REGION_BYTES = 32 << 20
_RETURN = 0x07000000
_RUN_SECONDS = 10
_FILL = 0xA5
_KEPT = range(arm_const.UC_ARM_REG_R4, arm_const.UC_ARM_REG_R4 + 8)  # r4 to r11


class Machine:
    """A core with the batch's program in its memory."""

    def __init__(self, core: Core, program: Path) -> None:
        self._core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._core.ctl_set_cpu_model(getattr(arm_const, core.unicorn_model))
        for start in (_FLASH, _RAM):
            self._core.mem_map(start, _REGION_BYTES)
        self._core.mem_map(_RETURN, 4096)
        with program.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                self._core.mem_write(segment["p_vaddr"], segment.data())
            table = elf.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            self._symbols = {s.name: s["st_value"] for s in table.iter_symbols()}

    def answers(self, position: int, variant: Variant) -> Iterator[bytes]:
        """The outputs of a variant's input sets, one after the other."""
        arena = self._symbols[f"case_{position}_td_arena"]
        run = self._symbols[f"case_{position}_td_model_run"]
        graph, places = variant.case.graph, variant.plan.placements

        def address(place: Placement) -> int:
            return arena + place.offset

        for arrays in variant.case.inputs:
            self._core.mem_write(arena, bytes([_FILL]) * variant.plan.arena_bytes)
            for tensor, array in zip(graph.inputs, arrays, strict=True):
                self._core.mem_write(address(places[tensor]), array.tobytes())
            self.call(run)
            for tensor in graph.outputs:
                size = graph.tensors[tensor].bytes
                yield bytes(self._core.mem_read(address(places[tensor]), size))
            self._check_gaps(arena, variant)

    def call(self, function: int) -> None:
        """Calls a function without arguments.

        Raises:
            AssertionError: It did not return in time, or not as the calling convention says.
            unicorn.UcError: The core met an invalid instruction or address.
        """
        stack = _RAM + _REGION_BYTES - 64
        kept = tuple(0x11110000 + i for i in range(8))
        for register, value in zip(_KEPT, kept, strict=True):
            self._core.reg_write(register, value)
        self._core.reg_write(arm_const.UC_ARM_REG_SP, stack)
        self._core.reg_write(arm_const.UC_ARM_REG_LR, _RETURN | 1)
        self._core.emu_start(function | 1, _RETURN, timeout=_RUN_SECONDS * 1_000_000)
        assert self._core.reg_read(arm_const.UC_ARM_REG_PC) == _RETURN, "it does not return"
        assert self._core.reg_read(arm_const.UC_ARM_REG_SP) == stack, "it moves the stack"
        found = tuple(self._core.reg_read(register) for register in _KEPT)
        assert found == kept, "it changes a register that it must keep"

    def _check_gaps(self, arena: int, variant: Variant) -> None:
        """Nothing was written between the tensors."""
        for begin, end in variant.holes:
            content = bytes(self._core.mem_read(arena + begin, end - begin))
            assert content == bytes([_FILL]) * (end - begin), "it writes outside its tensors"


def run(core: Core, program: Path, variants: Sequence[Variant]) -> list[list[bytes]]:
    """All answers of a batch.

    Raises:
        AssertionError: A variant broke a rule of the core or of its memory; names it.
    """
    machine = Machine(core, program)
    answers = []
    for position, variant in enumerate(variants):
        try:
            answers.append(list(machine.answers(position, variant)))
        except (AssertionError, unicorn.UcError) as error:
            raise AssertionError(f"{variant!r} on {core.name}: {error}") from error
    return answers
