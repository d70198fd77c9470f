"""Where the package's data lie: beside the sources in a checkout, inside the wheel elsewhere."""

from __future__ import annotations

from pathlib import Path

from .errors import RequestError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent

KERNELS = _PACKAGE / "kernels"


def data(name: str) -> Path:
    """The path of a shipped file or folder, such as "boards" or "SConstruct"."""
    installed = _PACKAGE / "data" / name
    return installed if installed.exists() else _CHECKOUT / name


def cache() -> Path:
    """A writable folder of the user's for what can be made again; created when missing.

    `TINYDEPLOY_CACHE` names another one. Where the usual one cannot be written (a read-only home)
    it lies in the folder for temporary files.
    """
    import os
    import tempfile

    import platformdirs

    named = os.environ.get("TINYDEPLOY_CACHE")
    usual = Path(named) if named else platformdirs.user_cache_path("tinydeploy")
    user = os.getuid()
    for folder in (usual, Path(tempfile.gettempdir()) / f"tinydeploy-{user}"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        # In a shared /tmp somebody else may have made it first.
        if os.access(folder, os.W_OK | os.X_OK) and folder.stat().st_uid == user:
            return folder
    raise RequestError(f"no folder to cache in: {usual} cannot be written", "set TINYDEPLOY_CACHE")
