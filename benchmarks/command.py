"""What the commands of this folder share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NoReturn

from tinydeploy.errors import TinydeployError

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY.parent / "shared" / "models"


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows a module's docstring as it stands."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def chosen(options: argparse.ArgumentParser, given: str, known: Collection[str]) -> list[str]:
    """The names of a comma list; refuses those that are not known."""
    names = given.split(",")
    if unknown := set(names) - set(known):
        options.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return names


def run(main: Callable[[], int]) -> NoReturn:
    """Ends the program with what `main` returns, or with an error's two lines."""
    try:
        sys.exit(main())
    except TinydeployError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
