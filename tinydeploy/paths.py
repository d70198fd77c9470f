"""Where the package's data lie: beside the sources in a checkout, inside the wheel elsewhere."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent

KERNELS = _PACKAGE / "kernels"


def data(name: str) -> Path:
    """The path of a shipped file or folder, such as "boards" or "SConstruct"."""
    installed = _PACKAGE / "data" / name
    return installed if installed.exists() else _CHECKOUT / name
