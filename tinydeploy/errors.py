"""The errors a user sees: one sentence, and one hint that can be pasted."""

from __future__ import annotations


class TinydeployError(Exception):
    """A failure that the user is told about in one sentence.

    Args:
        message: One sentence with the names and numbers involved, no full stop.
        hint: What to type or change next; empty when there is nothing useful to say.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(TinydeployError):
    """The input was rejected: a file, an option or a board description is wrong (exit 2)."""

    exit_code = 2


class RequestError(TinydeployError):
    """A valid request failed: outputs differ, it does not fit, a tool is missing (exit 1)."""

    exit_code = 1


class DoesNotFit(RequestError):
    """The model needs more RAM or flash than the board has."""
