"""README.md and docs/ say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tinydeploy import boards
from tinydeploy.ops import OPERATORS

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/*/*.md")])


def _words(text: str) -> list[str]:
    return text.replace("\\\n", " ").split()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (command,) = [block for block in blocks if "pytest" in block]
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert _words(script)[-len(_words(command)) :] == _words(command)


def _column(page: Path, heading: str) -> list[str]:
    """The first cells, in code, of the first table after `heading`."""
    text = page.read_text(encoding="utf-8").partition(heading)[2]
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert rows is not None, f"no table after {heading!r} in {page.name}"
    return re.findall(r"^\| `([^`]+)`", rows[0], re.MULTILINE)


def test_readme_names_all_boards() -> None:
    names = [b.name for b in boards.all_boards()]
    told = _column(REPOSITORY / "README.md", "## Boards")
    assert sorted(told) == sorted(names)


def test_operators_are_documented() -> None:
    told = _column(REPOSITORY / "docs" / "operators.md", "## What is supported")
    assert sorted(told) == sorted(OPERATORS)
    named = set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", README.partition("## Operators")[2].partition("\n## ")[0]))
    assert set(OPERATORS) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target
