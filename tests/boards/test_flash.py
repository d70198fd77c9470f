"""What is written into a board's flash, and how: command lines, files, tools that fail."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from intelhex import IntelHex

from tests.support import require
from tinydeploy import boards, flashing, image, uf2
from tinydeploy.board import HOST, Board
from tinydeploy.cli import main
from tinydeploy.desk import FlashTool
from tinydeploy.errors import RequestError, TinydeployError
from tinydeploy.flashers import FLASHERS, Job
from tinydeploy.image import Image, Segment

BOARDS = [board for board in boards.all_boards() if board.flash_tools]
ROWS = [(board, facts) for board in BOARDS for facts in board.flash_tools]
IDS = [f"{board.name}-{facts.tool}" for board, facts in ROWS]

# What each tool is typed as: {…} is the board's fact, {bin} the file of the only segment, {at} its
# address, {size} its length. A ";" is between commands.
TYPED = {
    "pyocd": "pyocd load --target {target} --no-wait firmware.hex ; "
    "pyocd commander --target {target} --no-wait "
    "--command 'savemem {at} {size} readback_{bin}' --command reset",
    "openocd": "openocd --file {interface} --file {target} "
    "--command 'program firmware.hex verify reset exit'",
    "stlink": "st-flash --connect-under-reset --reset --format ihex write firmware.hex",
    "jlink": "JLinkExe -NoGui 1 -ExitOnError 1 -AutoConnect 1 -Device {target} -If SWD "
    "-Speed 4000 -CommandFile firmware.jlink",
    "picotool": "picotool load --verify --execute firmware.elf",
    "uf2": "cp firmware.uf2 {drive}/",
    "dfu": "dfu-util --device {usb} --alt 0 --dfuse-address {at} --download {bin} ; "
    "dfu-util --device {usb} --alt 0 --dfuse-address {at}:{size}:leave --upload readback_{bin}",
    "plain dfu": "dfu-util --device {usb} --alt 0 --reset --download {bin}",
    "bossac": "bossac --erase --write --verify --reset --offset={offset:#x} {bin}",
    "nrfutil": "nrfutil device program --firmware firmware.hex --options "
    "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,reset=RESET_SYSTEM,verify=VERIFY_READ",
    "teensy": "teensy_loader_cli --mcu={target} -w -v firmware.hex",
}
# And how it is told which of several.
PROBED = {
    "pyocd": "--uid X1",
    "openocd": "--command 'adapter serial X1'",
    "stlink": "--serial X1",
    "jlink": "-SelectEmuBySN X1",
    "picotool": "--ser X1",
    "uf2": "X1/",
    "dfu": "--serial X1",
    "bossac": "--port=X1",
    "nrfutil": "--serial-number X1",
}
FACTS = {
    "pyocd": FlashTool("pyocd", target="nrf52840"),
    "openocd": FlashTool("openocd", target="target/nrf52.cfg", interface="interface/jlink.cfg"),
    "stlink": FlashTool("stlink"),
    "jlink": FlashTool("jlink", target="nRF52840_xxAA"),
    "picotool": FlashTool("picotool"),
    "uf2": FlashTool("uf2", family="RP2040", volume="RPI-RP2"),
    "dfu": FlashTool("dfu", usb="0483:df11"),
    "plain dfu": FlashTool("dfu", usb="2341:0369", plain=True),
    "bossac": FlashTool("bossac", offset=0x2000),
    "nrfutil": FlashTool("nrfutil"),
    "teensy": FlashTool("teensy", target="TEENSY41"),
}


def typed(facts: FlashTool, probe: str = "", address: int = 0x8000, size: int = 5) -> str:
    flasher = FLASHERS[facts.tool]
    content = Image((Segment(address, bytes(range(size))),))
    recipe = flasher.recipe(Job(facts, content, b"ELF", flasher.programs[0], probe))
    return " ; ".join(map(shlex.join, recipe.commands))


def expected(facts: FlashTool, address: int = 0x8000, size: int = 5) -> str:
    from tinydeploy.flashers.drive import find

    tool = "plain dfu" if facts.plain else facts.tool
    return TYPED[tool].format(
        **vars(facts),
        at=hex(address),
        size=size,
        bin=f"firmware_{address:08x}.bin",
        drive=find(facts.volume),
    )


@pytest.mark.parametrize(("board", "facts"), ROWS, ids=IDS)
def test_every_tool_of_every_board(board: Board, facts: FlashTool):
    assert board.flash is not None
    start = board.flash.origin
    assert typed(facts, address=start) == expected(facts, address=start)


@pytest.mark.parametrize("tool", FACTS)
def test_every_tool(tool: str):
    assert typed(FACTS[tool]) == expected(FACTS[tool])


@pytest.mark.parametrize("tool", PROBED)
def test_a_named_probe(tool: str):
    assert PROBED[tool] in typed(FACTS[tool], probe="X1")


def test_every_flasher_is_tested():
    assert {*FACTS} - {"plain dfu"} == {*FLASHERS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_pyocd_knows_its_target(board: Board):
    require("pyocd")
    from pyocd.target import TARGET  # type: ignore[import-not-found]

    for facts in board.flash_tools:
        if facts.tool == "pyocd":
            known = facts.target in TARGET
            assert known or facts.pack, f"pyOCD has no {facts.target}: name its pack"
            assert not (known and facts.pack), f"pyOCD has {facts.target}: it needs no pack"


@pytest.mark.parametrize(("board", "facts"), ROWS, ids=IDS)
def test_bossac_spares_the_boot_loader(board: Board, facts: FlashTool):
    """A SAMD's boot loader counts from the start of the flash, where it lies itself."""
    if facts.tool == "bossac" and board.mcu is not None and board.mcu.name.startswith("atsam"):
        assert board.flash is not None
        assert facts.offset == board.flash.origin == board.bootloader_bytes > 0


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_no_tool_twice(board: Board):
    tools = [facts.tool for facts in board.flash_tools]
    assert len(tools) == len(set(tools))


@given(
    st.dictionaries(st.integers(0, 40), st.binary(min_size=1, max_size=700), max_size=6),
    st.integers(0, 255),
)
def test_files_hold_what_went_in(chunks: dict[int, bytes], shift: int):
    """Intel HEX and UF2, parsed back: the same bytes, and nothing but filled pages."""
    segments = [
        Segment(0x1000_0000 + 1024 * number + shift, data) for number, data in chunks.items()
    ]
    content = Image(tuple(sorted(segments, key=lambda s: s.address)))
    held = IntelHex()
    held.loadhex(StringIO(content.to_hex()))
    memory = {s.address + i: byte for s in segments for i, byte in enumerate(s.data)}
    assert held.todict() == memory

    blocks = uf2.decode(content.to_uf2(uf2.FAMILIES["RP2040"]))
    pages = {b.address + i: byte for b in blocks for i, byte in enumerate(b.data)}
    assert {at: byte for at, byte in pages.items() if at in memory} == memory
    assert {byte for at, byte in pages.items() if at not in memory} <= {0xFF}
    assert [b.number for b in blocks] == list(range(len(blocks)))
    for block in blocks:
        assert block.count == len(blocks)
        assert block.address % 256 == 0
        assert len(block.data) == 256
        assert (block.flags, block.family) == (uf2.FLAG_FAMILY, 0xE48BFF56)


def test_uf2_byte_by_byte():
    """The block format, as the specification's table has it."""
    content = uf2.encode([(0x2000, b"\x01\x02")], 0x68ED2B88)
    head = "5546320a 57515d9e 00200000 00200000 00010000 00000000 01000000 882bed68"
    assert content[:32] == bytes.fromhex(head)
    assert content[32:288] == b"\x01\x02" + b"\xff" * 254
    assert content[288:508] == bytes(220)
    assert content[508:] == bytes.fromhex("306fb10a")


# A tool that keeps its flash in a file, as pyOCD does in a chip; FAKE says how it goes wrong.
FAKE_PYOCD = """
import os, shlex, sys, time
from intelhex import IntelHex
how, words = os.environ.get("FAKE", ""), sys.argv[1:]
if how == "hang":
    time.sleep(60)
if how == "absent":
    print("0000123 E No connected debug probes [load_cmd]", file=sys.stderr)
    sys.exit(1)
flash = os.environ["FAKE_FLASH"]
if words[0] == "load":
    content = IntelHex(words[-1])
    content.write_hex_file(flash)
else:
    _, at, size, name = shlex.split(words[words.index("--command") + 1])
    data = bytearray(IntelHex(flash).tobinarray(start=int(at, 0), size=int(size)))
    if how == "worn":
        data[7] ^= 1
    if how != "mute":
        open(name, "wb").write(data)
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH, with a pyocd of ours."""
    folder = tmp_path / "bin"
    program(folder / "pyocd", FAKE_PYOCD)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_FLASH", str(tmp_path / "chip.hex"))
    return folder


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def elf(path: Path, *segments: tuple[int, bytes], machine: int = 40) -> Path:
    """An ELF of load segments alone."""
    import struct

    head = 52 + 32 * len(segments)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    top = struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0, 52, 0, 0, 52, 32, len(segments), 40, 0, 0)
    table, body = b"", b""
    for address, data in segments:
        at = head + len(body)
        table += struct.pack("<8I", 1, at, address, address, len(data), len(data), 5, 4)
        body += data
    path.write_bytes(ident + top + table + body)
    return path


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    return elf(tmp_path / "f.elf", (0x0800_0000, bytes(range(200))), (0x0800_00D0, b"data"))


BOARD = boards.load("nucleo_l4r5zi")


@pytest.mark.usefixtures("tools")
def test_written_and_read_back(firmware: Path):
    result = CliRunner().invoke(main, ["flash", str(firmware), "--board", BOARD.name])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("212 bytes written to NUCLEO-L4R5ZI with pyocd, and compared")
    assert result.stdout.count("\n") == 1


@pytest.mark.usefixtures("tools")
def test_a_dry_run_writes_nothing_and_can_be_pasted(firmware: Path, tmp_path: Path):
    argv = ["flash", str(firmware), "--board", BOARD.name, "--dry-run"]
    shown = CliRunner().invoke(main, argv).stdout
    assert not (tmp_path / "chip.hex").exists()
    assert os.system(f"set -e\n{shown}") == 0
    assert (tmp_path / "chip.hex").exists()
    content = json.loads(CliRunner().invoke(main, [*argv, "--json"]).stdout)
    assert content["commands"][0][1:3] == ["load", "--target"]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("absent", "pyocd could not write NUCLEO-L4R5ZI: .*No connected debug probes"),
        ("worn", "1 of 212 bytes in the flash of NUCLEO-L4R5ZI are not what was written"),
        ("mute", "was not read back"),
        ("hang", "pyocd did not end within 1 s"),
    ],
)
def test_what_goes_wrong(how: str, message: str, firmware: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKE", how)
    if how == "hang":
        monkeypatch.setattr(flashing, "_TIMEOUT_S", 1.0)
    job = flashing.prepare(firmware, BOARD)
    assert "pack install stm32l4r5zitx" in job.trouble
    for name in job.recipe.readback or {}:  # of an earlier time
        (job.folder / name).write_bytes(b"old")
    with pytest.raises(RequestError, match=message):
        flashing.write(job)


def test_a_tool_that_is_not_there(firmware: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="openocd is not on PATH") as caught:
        flashing.write(flashing.prepare(firmware, BOARD, "openocd"))
    assert "apt install openocd" in caught.value.hint


def test_a_drive(firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drive = tmp_path / "my drive"
    drive.mkdir()
    board = replace(BOARD, flash_tools=(replace(FACTS["uf2"], family="STM32L4"),))
    job = flashing.prepare(firmware, board, probe=str(drive))
    with pytest.raises(RequestError, match="no boot loader's drive at"):
        flashing.write(job)
    mark = drive / "INFO_UF2.TXT"
    mark.write_text("UF2 Bootloader")
    monkeypatch.setattr(flashing, "_DRIVE_S", 0.2)
    with pytest.raises(RequestError, match="is still there"):
        flashing.write(job)
    program(tmp_path / "bin" / "cp", f"import os; os.remove({str(mark)!r})")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    flashing.write(flashing.prepare(firmware, board, probe=str(drive)))


WRONG = [
    (((0x2000_0000, b"x"),), 40, "has 0x20000000 to 0x20000001, nucleo_l4r5zi's flash is 0x0800"),
    (((0x0820_0000 - 1, b"xy"),), 40, "has 0x081fffff to 0x08200001"),
    (((0x0800_0000, b"x" * 9), (0x0800_0008, b"y")), 40, "two segments of .* share 0x08000008"),
    ((), 40, "holds nothing to write"),
    (((0x0800_0000, b"x"),), 62, "is a program for EM_X86_64"),
]


@pytest.mark.parametrize(("segments", "machine", "message"), WRONG, ids=lambda v: str(v)[:30])
def test_an_elf_for_elsewhere(
    tmp_path: Path, segments: tuple[tuple[int, bytes], ...], machine: int, message: str
):
    path = elf(tmp_path / "f.elf", *segments, machine=machine)
    with pytest.raises(TinydeployError, match=message):
        flashing.prepare(path, BOARD)


@given(st.binary(max_size=300))
def test_no_elf_at_all(tmp_path_factory: pytest.TempPathFactory, junk: bytes):
    path = tmp_path_factory.getbasetemp() / "junk.elf"
    whole = elf(path, (0x0800_0000, b"x" * 64)).read_bytes()
    for content in (junk, whole[: len(junk)], whole[:16] + junk + whole[16 + len(junk) :]):
        path.write_bytes(content)
        with suppress(TinydeployError):
            image.read(path, BOARD)


def test_small_gaps_are_erased_flash(tmp_path: Path):
    path = elf(tmp_path / "f.elf", (0x0800_0000, b"ab"), (0x0800_0004, b"cd"), (0x0800_1000, b"e"))
    content = image.read(path, BOARD)
    assert content.segments == (Segment(0x0800_0000, b"ab\xff\xffcd"), Segment(0x0800_1000, b"e"))
    facts = replace(FACTS["dfu"])
    recipe = FLASHERS["dfu"].recipe(Job(facts, content, b"", "dfu-util"))
    assert [argv[6] for argv in recipe.commands] == [
        "0x8000000", "0x8001000", "0x8000000:6", "0x8001000:1:leave",
    ]  # fmt: skip
    for tool in ("plain dfu", "bossac"):
        job = Job(FACTS[tool], content, b"", "x")
        with pytest.raises(RequestError, match="one piece, this image has 2"):
            FLASHERS[job.facts.tool].recipe(job)


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--tool", "magic"], "unknown tool 'magic'", 2),
        (["--tool", "bossac"], "nucleo_l4r5zi cannot be written with bossac", 1),
        (["--probe", "x; reset"], "--probe is 'x; reset'", 2),
        (["--probe", "-x"], "--probe is '-x'", 2),
        (["--and-verify"], "--and-verify cannot be with", 2),
    ],
)
def test_wrong_options(options: list[str], message: str, code: int, firmware: Path):
    result = CliRunner().invoke(main, ["flash", str(firmware), "--board", BOARD.name, *options])
    assert result.exit_code == code
    assert message in result.stderr


def test_a_board_without_flash_tools(firmware: Path):
    with pytest.raises(RequestError, match="nothing writes"):
        flashing.prepare(firmware, boards.load("mps2_an386"))


def test_behind_a_boot_loader(tmp_path: Path):
    """Firmware begins where the boot loader ends, and nothing else is written there."""
    board = replace(BOARD, bootloader_bytes=0x8000)
    assert board.flash is not None
    assert (board.flash.origin, board.flash.bytes) == (0x0800_8000, 0x20_0000 - 0x8000)
    with pytest.raises(RequestError, match="flash is 0x08008000 to 0x08200000"):
        flashing.prepare(elf(tmp_path / "f.elf", (0x0800_0000, b"x")), board)
    flashing.prepare(elf(tmp_path / "f.elf", (0x0800_8000, b"x")), board)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tool": "pyocd"}, "pyocd needs target"),
        ({"tool": "stlink", "target": "x"}, "stlink has no use for target"),
        ({"tool": "pyocd", "target": "a'b"}, "target is"),
        ({"tool": "pyocd", "target": "-x"}, "target is"),
        ({"tool": "uf2", "family": "RP2041", "volume": "X"}, "unknown UF2 family 'RP2041'"),
        ({"tool": "dfu", "usb": "483:df11"}, "is no USB device"),
        ({"tool": "bossac", "offset": -1}, "offset is -1"),
        ({"tool": "bossac"}, "bossac needs offset"),
    ],
)
def test_wrong_facts(values: dict[str, str], message: str):
    with pytest.raises(ValueError, match=message):
        FlashTool(**values)  # type: ignore[arg-type]


def test_the_host_has_no_flash(firmware: Path):
    with pytest.raises(TinydeployError, match="host"):
        flashing.prepare(firmware, HOST)
