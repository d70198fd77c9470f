"""Text from a model or a user, made safe to stand in C. The only place that does it."""

from __future__ import annotations

import re

_LONGEST_COMMENT = 80


def identifier(text: str) -> str:
    """A C identifier that resembles `text`: ASCII letters, digits and underscores.

    Two different texts may give the same identifier; add a number where that matters.
    """
    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_").lower() or "unnamed"
    return f"_{name}" if name[0].isdigit() else name


def comment(text: str) -> str:
    """`text` as it may stand inside a C comment: one line, printable ASCII, not too long."""
    safe = "".join(c if " " <= c <= "~" else "?" for c in text)
    safe = safe.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?").rstrip("\\ ")
    return safe if len(safe) <= _LONGEST_COMMENT else safe[: _LONGEST_COMMENT - 3] + "..."


def string(text: str) -> str:
    """`text` as a C string literal, quotes included; UTF-8, everything unusual in octal."""
    escaped = "".join(
        chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode()
    )
    return f'"{escaped}"'
