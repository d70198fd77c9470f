"""The views of a model before it is built."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e.test_strips import widest_first
from tests.support import REPOSITORY
from tinydeploy import boards, fit
from tinydeploy.errors import DoesNotFit
from tinydeploy.inspection import rows
from tinydeploy.plan.plan import Isa, Optimize, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.report import inspection, terminal
from tinydeploy.report.inspection import BoardRow
from tinydeploy.tflite.reader import load, loads

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
LARGE = BoardRow("large_board", "Large", "cortex-m7", 216_000_000, 320 << 10, 1 << 20, ("unicorn",))
SMALL = BoardRow("small_board", "Small", "cortex-m0", 48_000_000, 8 << 10, 64 << 10, ("unicorn",))


def _asked(row: BoardRow, ram_bytes: int, flash_bytes: int) -> BoardRow:
    given = {**vars(row), "needs_ram_bytes": ram_bytes, "needs_flash_bytes": flash_bytes}
    return BoardRow(**given)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_model_is_shown_in_80_columns(encoding: str) -> None:
    graph = load(DIGITS)
    plan = make_plan(graph, Target((Isa.SCALAR,)))
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    inspection.print_model(graph, plan, terminal.console(file, 80))
    file.flush()
    shown = raw.getvalue().decode(encoding)
    assert max(map(len, shown.splitlines())) <= 80
    for node in graph.nodes:
        assert node.op in shown
    assert f"arena {plan.arena_bytes:,} B" in shown
    assert f"{sum(call.macs for call in plan.calls):,} MACs" in shown


def _boards(*rows: BoardRow) -> str:
    file = io.StringIO()
    inspection.print_boards(rows, terminal.console(file, 80))
    return file.getvalue()


def test_boards_are_listed_with_what_runs_them() -> None:
    lines = _boards(LARGE, SMALL).splitlines()
    assert "216 MHz" in lines[-2]
    assert "320 KiB" in lines[-2]
    assert lines[-1].split()[-1] == "unicorn"


def test_every_shipped_board_has_a_line_of_80_columns() -> None:
    shipped = rows([])
    for listed in (shipped, [_asked(row, 1024, 1024) for row in shipped if row.ram_bytes]):
        lines = _boards(*listed).splitlines()
        assert [line.split()[0] for line in lines[2:]] == [row.name for row in listed]
        assert not any("…" in line for line in lines)


def test_what_does_not_fit_says_by_how_much() -> None:
    need = 20 << 10, 100 << 10
    large, small = _asked(LARGE, *need), _asked(SMALL, *need)
    assert (large.fits, small.fits, SMALL.fits) == (True, False, None)
    shown = " ".join(_boards(large, small).split())
    assert "✓ █░░░░░░░░░ 10%" in shown
    assert "12 KiB RAM short, 36 KiB flash" in shown


def test_facts_are_shown_with_their_units() -> None:
    file = io.StringIO()
    ram = {"name": "sram1[red]", "origin": 0x20000000, "bytes": 192 << 10}
    facts = {"title": "A board", "qemu": None, "memories": [ram, ram], "runners": ["a", "b"]}
    inspection.print_facts(facts, terminal.console(file, 80))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[0] == "title     A board"
    assert lines[2:4] == ["          origin  0x20000000", "          bytes   192 KiB"]
    assert "sram1[red]" in lines[1]
    assert lines[-1] == "runners   a, b"


def test_the_largest_layer_of_a_refusal_takes_what_the_arena_takes() -> None:
    plan = make_plan(load(DIGITS), Target((Isa.SCALAR,)))
    board = boards.load("bluepill_f103")
    memories = tuple(m if m.kind == "flash" else replace(m, bytes=1024) for m in board.mcu.memories)
    small = replace(board, mcu=replace(board.mcu, memories=memories))
    with pytest.raises(DoesNotFit, match=r"needs .* of RAM") as raised:
        fit.check(plan, small, Path("it's.tflite"), ())
    sizes = re.findall(r"layer \d+ [A-Z0-9_]+, ([\d.]+) KiB", raised.value.message)
    assert float(sizes[0]) == pytest.approx(plan.arena_bytes / 1024, abs=0.051)
    assert "--fits 'it'\"'\"'s.tflite'" in raised.value.hint


def test_a_refusal_says_where_strips_would_fit() -> None:
    graph = loads(widest_first(1), "wide")
    target = Target((Isa.SCALAR,))
    plan, strips = (
        make_plan(graph, replace(target, optimize=goal)) for goal in (Optimize.SPEED, Optimize.RAM)
    )
    assert strips.arena_bytes < 0.9 * plan.arena_bytes
    board = boards.load("bluepill_f103")
    assert board.mcu is not None
    enough = fit.needs(strips, board).ram_bytes
    memories = tuple(
        m if m.kind == "flash" else replace(m, bytes=enough) for m in board.mcu.memories
    )
    small = replace(board, mcu=replace(board.mcu, memories=memories))
    with pytest.raises(DoesNotFit) as raised:
        fit.check(plan, small, Path("wide.tflite"), ())
    assert raised.value.hint == "tinydeploy build wide.tflite --board bluepill_f103 --opt ram"
    fit.check(strips, small, Path("wide.tflite"), ())


@dataclass(frozen=True)
class _Found:
    name: str
    ok: bool
    detail: str
    hint: str = ""
    required: bool = False


def test_findings_say_what_to_type() -> None:
    file = io.StringIO()
    found = [
        _Found("arm-gnu", True, "12.2.1"),
        _Found("qemu", False, "missing", "apt install q"),
        _Found("zig", False, "missing", required=True),
    ]
    inspection.print_findings(found, terminal.console(file, 80))
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert lines == [
        ["✓", "arm-gnu", "12.2.1"],
        ["–", "qemu", "missing"],
        ["apt", "install", "q"],
        ["✗", "zig", "missing"],
    ]


def test_a_path_is_shown_whole() -> None:
    file = io.StringIO()
    path = f"/{'long/' * 30}zig"
    inspection.print_findings([_Found("zig", True, f"0.17, {path}")], terminal.console(file, 60))
    assert path in "".join(line.strip() for line in file.getvalue().splitlines())
