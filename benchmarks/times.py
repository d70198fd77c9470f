"""How long commands take: `python benchmarks/times.py MODEL [BOARD]`.

Each is a process of its own, as a user starts it; the first verify has no cache of any kind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(argv: list[str], env: dict[str, str], folder: Path) -> float:
    """Wall-clock time of one command that must succeed."""
    started = time.monotonic()
    subprocess.run(argv, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    model = str(Path(sys.argv[1]).resolve())
    board = sys.argv[2] if len(sys.argv) == 3 else "nucleo_l4r5zi"
    tinydeploy = [sys.executable, "-m", "tinydeploy"]
    verify = [*tinydeploy, "verify", model, "--board", board]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {**os.environ, "TINYDEPLOY_CACHE": str(folder / "cache")}
        for toolchain in ("auto", "zig"):
            command = [*verify, "--toolchain", toolchain, "--out", str(folder / toolchain)]
            for when in ("from nothing", "again"):
                print(f"verify, {toolchain}, {when:13}{seconds(command, env, folder):6.2f} s")
        build = [*tinydeploy, "build", model, "--board", board, "--out", str(folder / "auto")]
        scons = [
            sys.executable, "-m", "SCons", "-Q", "-f",
            str(Path(__file__).resolve().parents[1] / "SConstruct"),
            f"model={model}", f"board={board}", f"out={folder / 'auto'}",
        ]  # fmt: skip
        scons_env = {**env, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        bare = [sys.executable, "-c", "pass"]
        print(f"build, nothing to do           {seconds(build, env, folder):6.2f} s")
        print(f"scons, nothing to do           {seconds(scons, scons_env, folder):6.2f} s")
        print(
            f"--help                         {seconds([*tinydeploy, '--help'], env, folder):6.2f} s"
        )
        print(f"an empty interpreter           {seconds(bare, env, folder):6.2f} s")


if __name__ == "__main__":
    main()
