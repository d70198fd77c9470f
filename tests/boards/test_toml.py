"""Wrong TOML files: each is one sentence with the file, the line and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tinydeploy import boards
from tinydeploy.board import HOST
from tinydeploy.emit.board import board_files
from tinydeploy.errors import InputError

SHIPPED = REPOSITORY / "boards"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with copies of a board, "mine", and of its microcontroller, "chip"."""
    (tmp_path / "mcu").mkdir()
    (tmp_path / "mine").mkdir()
    mcu = (SHIPPED / "mcu" / "stm32l4r5zi.toml").read_text()
    board = (SHIPPED / "nucleo_l4r5zi" / "board.toml").read_text()
    (tmp_path / "mcu" / "chip.toml").write_text(mcu.replace('"stm32l4r5zi"', '"chip"', 1))
    (tmp_path / "mine" / "board.toml").write_text(
        board.replace('"nucleo_l4r5zi"', '"mine"').replace('"stm32l4r5zi"', '"chip"')
    )
    return tmp_path


def rejected(folder: Path, name: str = "mine") -> InputError:
    with pytest.raises(InputError) as caught:
        board_files(boards.load(name, [folder]))
    assert "\n" not in caught.value.message
    return caught.value


def edit(path: Path, old: str, new: str) -> int:
    """Replaces text that is there once or more; gives the line of the first place."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


MCU_EDITS = [
    ('core = "cortex-m4"', 'core = "cortex-m5"', "unknown core 'cortex-m5'; did you mean"),
    ('core = "cortex-m4"', 'core = "cortex-m3"', "cortex-m3 has no single-precision"),
    ('fpu = "single"', 'fpu = "half"', "fpu must be one of none, single, double, and is 'half'"),
    ('fpu = "single"', "fpu = true", "fpu must be one of none, single, double, and is true or"),
    ('title = "STM32L4R5ZI"', "title = 5", "title must be a string, and is an integer"),
    ('title = "STM32L4R5ZI"', 'title = "a\\nb"', "one line of printable characters"),
    ('title = "STM32L4R5ZI"', "", "missing key title"),
    ("clock_hz = 4_000_000", "clock_hz = 4e6", "clock_hz must be an integer, and is a number"),
    ("clock_hz = 4_000_000", "clock_hz = true", "clock_hz must be an integer, and is true or"),
    ("clock_hz = 4_000_000", "clock_hz = -1", "clock_hz is -1"),
    ("clock_hz = 4_000_000", "clock_hz = 50_000", "baud, not 115200"),
    ("interrupts = 95", "interrupts = 481", "a Cortex-M has 1 to 480"),
    ("interrupts = 95", "interupts = 95", "unknown key interupts"),
    ('kind = "flash"', 'kind = "rom"', "memories[0].kind must be one of flash, ram"),
    ('kind = "flash"', 'kind = "ram"', "there is no memory of kind 'flash'"),
    ("origin = 0x2003_0000", "origin = 0x2002_8000", "memories sram1 (0x20000000 to 0x20030000)"),
    ("origin = 0x2003_0000", "origin = 0x2003_0001", "must be multiples of 8"),
    ("origin = 0x2003_0000", "origin = 0xFFFF_FFF8", "outside the 32-bit address space"),
    ("origin = 0x0800_0000", "origin = 0x0800_0080", "a vector table of 111 words must be at"),
    ("bytes = 0x1_0000", "bytes = 0", "outside the 32-bit address space"),
    ("bytes = 0x1_0000", "bytes = -8", "outside the 32-bit address space"),
    ("address = 0x4000_8000", "address = 0x4000_8001", "not a word-aligned 32-bit address"),
    ("address = 0x4000_8000", "adress = 0x4000_8000", "unknown key uarts.lpuart1.adress"),
    ("address = 0x4800_0000", "address = 0xFFFF_FFF0", "outside the address space"),
    ('ip = "stm32_lpuart"', 'ip = "stm32_uart"', "uarts.lpuart1.ip must be one of"),
    ('ip = "stm32_lpuart"', 'ip = "infineon_scb"', "infineon_scb has none of its own; say its"),
    ("address = 0x4000_8000", "address = 0x4000_8000\ndivider = 0x4000_0000", "no divider but its"),
    ("set = 0x1,", "set = 0x1_0000_0000,", "wait and wait_clear are 32-bit masks"),
    ("set = 0x1,", "set = 0x1, wait = 0x1, write_only = true,", "it has register, set and source"),
    ("set = 0x1,", "factory = 0x1000,", "factory takes an address and clear"),
    ("set = 0x1,", "clear = 0x1, factory = 0x1002,", "factory 0x1002 is not a word-aligned"),
    ("set = 0x1,", "clear = 0x1, factory = 0x4, factory_shift = 32,", "use 0 to 31"),
    ("enable = [", "enable = 5 # [", "uarts.lpuart1.enable must be an array, and is an integer"),
    ("[gpio]", "[[gpio]]", "gpio must be a table, and is an array"),
    ("[uarts.lpuart1]", "[uarts]", "uarts.ip must be a table, and is a string"),
    ("enable_register = 0x4002_104C", "", "needs its enable_register"),
]


@pytest.mark.parametrize(("old", "new", "message"), MCU_EDITS, ids=lambda text: text[:40])
def test_wrong_microcontroller(folder: Path, old: str, new: str, message: str) -> None:
    edit(folder / "mcu" / "chip.toml", old, new)
    assert message in rejected(folder).message


BOARD_EDITS = [
    ('name = "mine"', 'name = "other"', "name is 'other', its folder is 'mine'"),
    ('name = "mine"', 'name = "Mine!"', "lower-case letters, digits and underscores"),
    ('mcu = "chip"', 'mcu = "chop"', "unknown mcu 'chop'"),
    ('mcu = "chip"', 'mcu = "../mcu/chip"', "unknown mcu '../mcu/chip'"),
    ('uart = "lpuart1"', 'uart = "lpuart2"', "'lpuart2', which chip does not have"),
    ("[console]", "[consol]", "unknown key consol"),
    ("value = 0x2000 }", "value = 0x1_0000_0000 }", "0x100000000 is no 32-bit value"),
    ("value = 0x2000 }", "value = 0x2000, clear = 1 }", "unknown key marker.high.clear"),
    ("set = 0x20, source", "set = 0x20, wait = 1, source", "clears and sets bits of words, and"),
    ('pin = "PG7"', 'pin = "PG16"', "'PG16' is not a pin"),
    ("function = 8", "function = 16", "pin PG7: function is 16; there are 0 to 15"),
    ("function = 8 }", "function = 8", "is not valid TOML: Unclosed inline table (at line 7"),
    ('pin = "PG7"', 'pin = "P0.7"', "needs the pins tx and rx, as STM32L4R5ZI names them"),
    ("rx = {", "# rx = {", "needs the pins tx and rx"),
    ('uart = "lpuart1"', 'uart = "lpuart1"\nbaud = 0', "baud is 0"),
    ('uart = "lpuart1"', 'uart = "lpuart1"\nbaud = 4_000_000', "baud, not 4000000"),
    ('mcu = "chip"', 'mcu = "chip"\nstack_bytes = 100', "at least 256"),
    ('mcu = "chip"', 'mcu = "chip"\nqemu = { machine = "x", serial = 10_000_000 }', "0 to 15"),
    ("register = 0x4002_1058", "register = 0x4002_1059", "not a word-aligned"),
    ('uart = "lpuart1"', 'uart = "lpuart1"\nrated_hz = 8_000_000', "there is no [clock] here"),
    (
        "[console]",
        "[[memories]]\nname = 'x'\nkind = 'ram'\norigin = 0x3FFF_F000\nbytes = 0x2000\n[console]",
        "lie where Arm's memory map has registers",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), BOARD_EDITS, ids=lambda text: text[:40])
def test_wrong_board(folder: Path, old: str, new: str, message: str) -> None:
    edit(folder / "mine" / "board.toml", old, new)
    assert message in rejected(folder).message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("interrupts = 95", 'interrupts = "95"'),
        ("origin = 0x2004_0000", 'origin = "0x20040000"'),
        ("fifo = true", "fifo = 1"),
        ("enable_register", "enable_registr"),
    ],
)
def test_the_line_is_named(folder: Path, old: str, new: str) -> None:
    path = folder / "mcu" / "chip.toml"
    line = edit(path, old, new)
    assert rejected(folder).message.startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('uart = "lpuart1"', 'uart = "lpuart2"'),
        ('mcu = "chip"', 'mcu = "chop"'),
        ('mcu = "chip"', 'bootloader_bytes = 0x100\nmcu = "chip"'),
        ('pin = "PG7"', 'pin = "P0.7"'),
        (
            "[console]",
            "[[memories]]\nname = 'ext'\nkind = 'ram'\norigin = 0x2000_1000\nbytes = 64\n[console]",
        ),
    ],
)
def test_the_line_is_named_where_two_files_disagree(folder: Path, old: str, new: str) -> None:
    path = folder / "mine" / "board.toml"
    line = edit(path, old, new)
    assert rejected(folder).message.startswith(f"{path}:{line}: ")


def test_missing_keys_name_their_table_and_meaning(folder: Path) -> None:
    path = folder / "mcu" / "chip.toml"
    edit(path, 'name = "sram3"\n', "")
    line = path.read_text().splitlines().index("origin = 0x2004_0000") - 1
    error = rejected(folder)
    assert error.message == f"{path}:{line}: missing key memories[3].name"
    assert error.hint == "it is: the manual's name for it: flash, sram1, dtcm"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "missing key name"),
        (b"name = ", "is not valid TOML: Invalid value (at end of document)"),
        (b"name = 'x'\nname = 'y'\n", "Cannot overwrite a value (at line 2"),
        (b"\xff\xfe\x00", "cannot be read: 'utf-8' codec can't decode"),
        (b"[[[[", "is not valid TOML"),
        (b"a = " + b"[" * 5000, "is not valid TOML: it is nested too deeply"),
        (b"name = 1979-05-27", "name must be a string, and is a date"),
    ],
)
def test_not_a_board_at_all(folder: Path, content: bytes, message: str) -> None:
    (folder / "mine" / "board.toml").write_bytes(content)
    assert message in rejected(folder).message


def test_hostile_text_stays_in_its_comment(folder: Path) -> None:
    edit(
        folder / "mine" / "board.toml",
        'source = "PWR clock (RM0432, RCC_APB1ENR1.PWREN)"',
        'source = "*/ int evil; /* {{ 7 * 7 }} \\u2028 \\n #error x \\\\"',
    )
    text = board_files(boards.load("mine", [folder]))["board.c"]
    line = next(line for line in text.splitlines() if "evil" in line)
    assert line == "  /* * / int evil; / * {{ 7 * 7 }}     #error x / */"


def test_unknown_board_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        boards.load("nucleo_l4r5z1")
    assert caught.value.message == "unknown board 'nucleo_l4r5z1'"
    assert "nucleo_l4r5zi" in caught.value.hint
    for name in ("", "..", "../boards/microbit", "MICROBIT", "mcu", "x" * 10_000, "a\0b"):
        with pytest.raises(InputError, match="unknown board"):
            boards.load(name)


def test_a_users_board_hides_a_shipped_one_and_may_use_its_chip(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "microbit", tmp_path / "microbit")
    edit(tmp_path / "microbit" / "board.toml", "BBC micro:bit v1", "mine")
    assert boards.load("microbit", [tmp_path]).title == "mine"
    assert boards.load("microbit").title == "BBC micro:bit v1"
    names = [board.name for board in boards.all_boards([tmp_path])]
    assert len(names) == len(set(names)) == len(boards.all_boards())


def test_host_cannot_be_replaced(folder: Path) -> None:
    assert boards.load("host", [folder]) is HOST
