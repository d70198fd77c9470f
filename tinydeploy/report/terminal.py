"""What all views in the terminal share: a console, signs, sizes, bars.

Every text that comes from a model, a path or a device goes through `printable()`: views are built
from `Text`, never from markup, so a tensor named "[red]" or with an escape sequence is only text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

# One colour a meaning; the rest is the terminal's own.
GOOD = "green"
BAD = "red"
SOFT = "dim"
STRONG = "bold"
BAR = "cyan"


@dataclass(frozen=True)
class Signs:
    """The characters that not every terminal has."""

    good: str
    bad: str
    full: str
    empty: str
    kept: str
    scratch: str
    times: str
    dash: str
    rules: box.Box


# A rule under a table's heads, and nothing else.
_ASCII_RULES = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)

UNICODE = Signs("✓", "✗", "█", "░", "▒", "▓", "×", "–", box.SIMPLE_HEAD)
ASCII = Signs("ok", "FAILED", "#", ".", "=", "+", "x", "-", _ASCII_RULES)


def console(file: IO[str] | None = None, width: int | None = None) -> Console:
    """A console on `file` (stdout): plain at 80 columns in a pipe, colourless under NO_COLOR."""
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def signs(to: Console) -> Signs:
    """The characters that `to` can show."""
    return ASCII if to.options.ascii_only else UNICODE


def printable(text: str, limit: int = 60) -> str:
    """`text` on one line, cut to `limit` characters, with what cannot be shown escaped."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def size(count: int | None) -> str:
    """A number of bytes for people: "812 B", "12.3 KiB", "2 MiB"."""
    if count is None:
        return "-"
    for unit, of in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= of:
            return f"{f'{count / of:.1f}'.removesuffix('.0')} {unit}"
    return f"{count} B"


def bar(share: float, width: int, sign: Signs) -> Text:
    """`share` (0 to 1, more is full) of `width` cells; any share above 0 shows."""
    cells = min(width, max(round(share * width), 1 if share > 0 else 0))
    text = Text()
    text.append(sign.full * cells, BAD if share > 1 else BAR)
    return text.append(sign.empty * (width - cells), SOFT)


def shape(dimensions: Sequence[int], sign: Signs) -> str:
    """A tensor's shape: "1×8×8×16"."""
    return sign.times.join(str(d) for d in dimensions) or "scalar"


def indented(what: RenderableType, above: int = 0) -> Padding:
    """`what` two columns in, `above` empty lines before it."""
    return Padding(what, (above, 0, 0, 2), expand=False)


def table(sign: Signs, *columns: str, left: Sequence[str] = (), wrap: str = "") -> Table:
    """A quiet table: a rule under the heads; numbers to the right, the columns `left` to the left;
    `wrap` is the one that gives way in a narrow terminal."""
    made = Table(box=sign.rules, show_edge=False, padding=(0, 1, 0, 0), header_style=SOFT)
    for name in columns:
        justify: JustifyMethod = "left" if name in left else "right"
        made.add_column(name, justify=justify, no_wrap=name != wrap)
    return made


def fitting(
    to: Console,
    rows: Sequence[Mapping[str, Text]],
    variants: Sequence[Sequence[str]],
    left: Sequence[str],
    wrap: str = "",
) -> Table:
    """The first table of `variants` that is whole in `to`, two columns in; else the last.

    Args:
        to: Where it is shown.
        rows: Their cells by head.
        variants: The heads of each, the widest first.
        left, wrap: See `table()`.
    """
    for columns in variants:
        if 2 + sum(_needs(name, rows, name == wrap) + 2 for name in columns) - 1 <= to.width:
            break
    made = table(signs(to), *columns, left=left, wrap=wrap)
    for row in rows:
        made.add_row(*(row[name] for name in columns))
    return made


def _needs(name: str, rows: Sequence[Mapping[str, Text]], wraps: bool) -> int:
    """How wide a column must be for nothing in it to be cut."""
    texts = [name, *(row[name].plain for row in rows)]
    return max(cell_len(part) for text in texts for part in (text.split() if wraps else [text]))


def without(columns: Sequence[str], drop: Sequence[str]) -> list[list[str]]:
    """`columns`, and then without ever more of `drop`, the first of which goes first."""
    return [[c for c in columns if c not in drop[:count]] for count in range(len(drop) + 1)]
