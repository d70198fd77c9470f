"""Hostile names never break the C they stand in."""

import re
import subprocess
from pathlib import Path

import pytest

from tinydeploy.emit import names

HOSTILE = [
    "",
    "plain",
    "a*/ int x; /*",
    '"quoted"\\',
    "line\nbreak\r\t\0",
    "zażółć 模型 🙂",
    "??/trigraph??!",
    "9starts",
    "x" * 10_000,
    "%s%n",
    "ends with \\",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_identifiers_are_identifiers(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z_][0-9A-Za-z_]*", names.identifier(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_comments_stay_comments(text: str) -> None:
    comment = names.comment(text)
    assert "*/" not in comment
    assert "/*" not in comment
    assert comment.isascii()
    assert comment.isprintable() or comment == ""
    assert len(comment) <= 80


@pytest.mark.toolchain
def test_hostile_names_compile_and_read_back(tmp_path: Path) -> None:
    lines = [
        f"/* {names.comment(t)} */ static const char s{i}[] = {names.string(t)};"
        for i, t in enumerate(HOSTILE)
    ]
    puts = "".join(f"fwrite(s{i}, 1, sizeof s{i} - 1, stdout); putchar(10);" for i in range(11))
    source = tmp_path / "hostile.c"
    source.write_text(
        "#include <stdio.h>\n" + "\n".join(lines) + f"\nint main(void) {{ {puts} return 0; }}\n"
    )
    program = tmp_path / "hostile"
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(program)],
        check=True,
    )
    printed = subprocess.run([str(program)], check=True, capture_output=True).stdout
    assert printed == b"".join(t.encode() + b"\n" for t in HOSTILE)
