"""README.md and docs/ say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.support import REPOSITORY
from tinydeploy.boards import all_boards, table
from tinydeploy.cli import main
from tinydeploy.ops import OPERATORS

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    [REPOSITORY / "README.md", *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/*/*.md")]
)


# Code blocks and code within a line; a command of ours in them, up to a comment or a pipe.
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|&& |run: |bin/|`)tinydeploy +(\w[^`\n#|>]*)", re.MULTILINE)


def _words(text: str) -> list[str]:
    return text.replace("\\\n", " ").split()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (command,) = [block for block in blocks if "pytest" in block]
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert _words(script)[-len(_words(command)) :] == _words(command)


def _accepts(command: click.Command, words: list[str]) -> bool:
    """Whether the verb exists and takes the options among `words`."""
    options = {option for p in command.params for option in p.opts}
    if isinstance(command, click.Group) and words and words[0] in command.commands:
        return _accepts(command.commands[words[0]], words[1:])
    if isinstance(command, click.Group) and not command.invoke_without_command:
        return False
    return all(word.partition("=")[0] in options for word in words if word.startswith("--"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_exist(page: Path) -> None:
    code = "\n".join(CODE.findall(page.read_text(encoding="utf-8")))
    for told in COMMAND.findall(code):
        assert _accepts(main, told.split()), f"tinydeploy {told}"


def _rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table after `heading`, without its heads."""
    text = page.read_text(encoding="utf-8").partition(heading)[2]
    found = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert found is not None, f"no table after {heading!r} in {page.name}"
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in found[0].splitlines()]
    return rows[2:]


def test_all_boards_are_shown() -> None:
    rows = table()
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    told = _rows(REPOSITORY / "docs" / "boards.md", "## All of them")
    assert told == rows, f"docs/boards.md, python -m tinydeploy.boards --table:\n{text}"


def test_readme_names_all_boards() -> None:
    rows = _rows(REPOSITORY / "README.md", "## Boards")
    told = [name.strip("`") for row in rows for name in row[1].split(", ")]
    assert sorted(told) == sorted(board.name for board in all_boards())


def test_operators_are_documented() -> None:
    rows = _rows(REPOSITORY / "docs" / "operators.md", "## What is supported")
    told = {row[0].strip("`"): row[-1] for row in rows}
    kernels = {
        name: ", ".join(sorted({k.isa.value for k in operator.KERNELS}, reverse=True))
        for name, operator in OPERATORS.items()
    }
    assert list(told) == sorted(told)
    assert told == kernels
    named = set(
        re.findall(
            r"\b[A-Z][A-Z0-9_]{2,}\b", README.partition("## Operators")[2].partition("\n## ")[0]
        )
    )
    assert set(OPERATORS) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target
