"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from .errors import RequestError

SIZE_HINT = "the shell limits the size of files: ulimit -f unlimited"


def way_out(error: OSError, elsewhere: str) -> str:
    """The hint for a file that cannot be written; `elsewhere` says how to name another place."""
    if error.errno == errno.ENAMETOOLONG:
        return "choose a shorter name"
    if error.errno == errno.EFBIG:
        return SIZE_HINT
    free = "free some space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return f"{free}{elsewhere}"


def write_whole(path: Path, content: str | bytes, option: str = "--out") -> None:
    """Writes a file through a temporary one beside it, so that nobody sees half of it.

    What is no regular file (a device such as /dev/stdout, a pipe) is written to, not replaced; nor
    is a symbolic link.

    Args:
        path: The file; its folders are made.
        content: Bytes, or text that becomes UTF-8.
        option: Where the user names another place.

    Raises:
        RequestError: It cannot be written; what was there before stays.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    temporary = ""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as file:
                file.write(data)
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)  # mkstemp's own mode hides it from everyone else
        Path(temporary).replace(target)
    except OSError as error:
        elsewhere = way_out(error, f"choose another place to write to: {option}")
        raise RequestError(f"cannot write {path}: {error.strerror}", elsewhere) from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
