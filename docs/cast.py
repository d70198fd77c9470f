"""Makes docs/demo.svg, the picture in the README: what a command prints, as it prints it.

    python docs/cast.py tinydeploy demo

Needs `tinydeploy` on PATH. Fonts are the viewer's own; the file refers to nothing outside.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 80
FONT_FACES = re.compile(r"@font-face {{.*?}}\n", re.DOTALL)
THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 224),
    [
        (24, 26, 31),
        (232, 108, 108),
        (126, 201, 126),
        (222, 186, 107),
        (109, 163, 230),
        (190, 140, 220),
        (94, 190, 200),
        (214, 218, 224),
    ],
)


def main(command: list[str]) -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    environment |= {"COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
    environment.pop("NO_COLOR", None)
    shown = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True
    ).stdout
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ ", "bold") + Text(" ".join(command), "bold"))
    console.print(Text.from_ansi("\n".join(line.rstrip() for line in shown.splitlines())))
    # A fixed identifier: the same output gives the same file.
    svg = console.export_svg(
        title=" ".join(command),
        theme=THEME,
        code_format=FONT_FACES.sub("", CONSOLE_SVG_FORMAT).replace(
            "font-family: Fira Code, monospace",
            "font-family: monospace",
        ),
        unique_id="tinydeploy",
    )
    path = Path(__file__).with_name("demo.svg")
    path.write_text(svg, encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
