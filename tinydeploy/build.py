"""What `tinydeploy build` calls: one run of SCons in its own process."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import errors, paths, process, steps
from .errors import InputError, RequestError, TinydeployError

# SCons hands a failure to us in a line of its own that begins so.
FAILURE_PREFIX = "tinydeploy-failure: "
# SCons cannot do without the docstrings of its own files.
_NOT_FOR_SCONS = ("SCONSFLAGS", "PYTHONOPTIMIZE")
FAILURE_VARIABLE = "TINYDEPLOY_FAILURES"

_TIMEOUT_S = 3600.0

# Each a folder of firmware_templates.
FIRMWARES = ("verify", "mlperf", "mlperf_energy")


@dataclass(frozen=True)
class BuildRequest:
    """What a user asks to be built.

    Attributes:
        model: The `.tflite` file.
        board: A board's name; "host" is this machine.
        firmware: What answers at the console, a key of FIRMWARES.
        engine, toolchain, optimize: Keys of ENGINES, of TOOLCHAINS (or "auto"), "speed",
            "size" or "ram".
        out: The folder that everything is written to; None is `default_out()`.
        board_folders: Folders of the user's own boards.
        cache: A SCons CacheDir of object files, shared by any number of out folders.
        sanitize: With address and undefined-behaviour sanitizers, for board host.
        strict: Warnings of the C compiler are errors.
        tflm_root: Where TFLite Micro is installed, for engine tflm; None looks where settings say.
        arena_bytes: For engine tflm: how large its arena is; None measures what it needs.
        measuring: For engine tflm: a firmware that tells what it uses of the arena.
        app: A folder with the sources of the user's own program, which takes the verify firmware's
            place.
    """

    model: Path
    board: str
    firmware: str = "verify"
    engine: str = "aot"
    toolchain: str = "auto"
    optimize: str = "speed"
    out: Path | None = None
    board_folders: tuple[Path, ...] = ()
    cache: Path | None = None
    sanitize: bool = False
    strict: bool = False
    tflm_root: Path | None = None
    arena_bytes: int | None = None
    measuring: bool = False
    app: Path | None = None

    @property
    def answers_verify(self) -> bool:
        """Whether its firmware is the one that tinydeploy talks to."""
        return self.app is None and self.firmware == FIRMWARES[0]

    @property
    def folder(self) -> Path:
        """The out folder, absolute, without symbolic links."""
        usual = default_out(self.model, self.board, self.firmware)
        if self.app:
            usual = usual.with_name(f"{usual.name}-app")
        return Path(os.path.realpath(self.out or usual))


def default_out(model: Path, board: str, firmware: str = FIRMWARES[0]) -> Path:
    """build/<model's stem>-<board>, in the working directory; other firmware has its own."""
    kind = "" if firmware == FIRMWARES[0] else f"-{firmware}"
    return Path("build") / f"{model.stem}-{board}{kind}"


# The names of a request's parts on SCons's command line.
OPTIONS = {
    "model": "the .tflite file",
    "board": "a board's name (tinydeploy boards lists them); host is this machine",
    "firmware": "verify, for tinydeploy; mlperf or mlperf_energy, for MLPerf Tiny's runner",
    "engine": "aot or tflm",
    "toolchain": "auto, arm-gnu, zig or host",
    "opt": "speed, size or ram",
    "out": "the folder to write to; build/<model>-<board> if not given",
    "boards": f"folders with boards of yours, separated by {os.pathsep!r}",
    "cache": "a folder that keeps what was compiled, for other builds too",
    "sanitize": "1: with address and undefined-behaviour sanitizers, for board host",
    "strict": "1: warnings of the C compiler are errors",
    "tflm": "where TFLite Micro is installed, for engine tflm; TFLM_ROOT if not given",
    "arena": "bytes of TFLite Micro's arena; measured if not given",
    "measuring": "1: a firmware that tells what it uses of TFLite Micro's arena",
    "app": "a folder with your program, in place of the firmware that answers verify",
}

# And those of what writes the flash.
FLASH_OPTIONS = {
    "tool": "for flash: what writes it; the board's first if not given",
    "probe": "for flash: a probe's serial number, a port, a drive's folder",
}


def options(request: BuildRequest) -> dict[str, str]:
    """The request as SCons's command line says it."""
    texts = {
        "model": str(request.model),
        "board": request.board,
        "firmware": request.firmware,
        "engine": request.engine,
        "toolchain": request.toolchain,
        "opt": request.optimize,
        "out": str(request.folder),
        "boards": os.pathsep.join(map(str, request.board_folders)),
        "cache": str(request.cache or ""),
        "sanitize": "1" if request.sanitize else "",
        "strict": "1" if request.strict else "",
        "tflm": str(request.tflm_root or ""),
        "arena": str(request.arena_bytes or ""),
        "measuring": "1" if request.measuring else "",
        "app": str(request.app or ""),
    }
    return {name: text for name, text in texts.items() if text}


def request_from(options: Mapping[str, str]) -> BuildRequest:
    """The inverse of `options`.

    Raises:
        InputError: An option is unknown, missing, or has a value that it cannot have.
    """
    for name in options:
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, [*OPTIONS, *FLASH_OPTIONS], 1)
            hint = f"did you mean {near[0]}=?" if near else f"known: {', '.join(OPTIONS)}"
            raise InputError(f"unknown option {name}=", hint)
    given = {name: str(value) for name, value in options.items() if value}
    for name in ("model", "board"):
        if name not in given:
            hint = "scons board=nucleo_l4r5zi model=kws_int8.tflite"
            raise InputError(f"{name}= is missing: {OPTIONS[name]}", hint)
    return BuildRequest(
        model=Path(given["model"]),
        board=given["board"],
        firmware=_one_of(given, "firmware", FIRMWARES),
        engine=given.get("engine", BuildRequest.engine),
        toolchain=given.get("toolchain", BuildRequest.toolchain),
        optimize=_one_of(given, "opt", ("speed", "size", "ram")),
        out=Path(given["out"]) if "out" in given else None,
        board_folders=tuple(Path(p) for p in given.get("boards", "").split(os.pathsep) if p),
        cache=Path(given["cache"]) if "cache" in given else None,
        sanitize=_one_of(given, "sanitize", ("0", "1")) == "1",
        strict=_one_of(given, "strict", ("0", "1")) == "1",
        tflm_root=Path(given["tflm"]) if "tflm" in given else None,
        arena_bytes=_bytes_of(given, "arena"),
        measuring=_one_of(given, "measuring", ("0", "1")) == "1",
        app=Path(given["app"]) if "app" in given else None,
    )


def _bytes_of(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 1 << 32:
        raise InputError(f"{name}={value:.40}: not a number of bytes", f"{name}=32768")
    return int(value)


def _one_of(given: Mapping[str, str], name: str, values: tuple[str, ...]) -> str:
    value = given.get(name, values[0])
    if value not in values:
        raise InputError(f"{name}={value}: not a value of {name}", f"one of: {', '.join(values)}")
    return value


def build(
    request: BuildRequest,
    *,
    jobs: int | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Path:
    """Builds what is out of date.

    Args:
        request: What to build.
        jobs: How many compilers at once; None for one a processor.
        on_line: Called with each line of SCons's progress ("CC model.c").

    Returns:
        The ELF.

    Raises:
        InputError: The model, the board or an option was rejected.
        RequestError: It cannot be built: a compiler is missing or failed, it does not fit, the
            out folder cannot be written.
    """
    argv = [sys.executable, "-P", "-m", "SCons", "-Q", "--no-site-dir"]
    argv += ["-f", str(paths.data("SConstruct"))]
    argv += [f"-j{jobs}"] if jobs else []
    argv += [f"{name}={value}" for name, value in options(request).items()]
    result = process.run(argv, timeout_s=_TIMEOUT_S, env=_environment(), on_line=on_line)
    if result.returncode != 0:
        raise _failure(result)
    return request.folder / steps.ELF


def _environment() -> dict[str, str]:
    """Ours, with this very package importable and no options for SCons from outside."""
    package = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_SCONS}
    env["PYTHONPATH"] = os.pathsep.join([package, inherited] if inherited else [package])
    env["PYTHONUTF8"] = "1"  # names of files and what is printed, whatever the locale
    env[FAILURE_VARIABLE] = "1"
    return env


def _failure(result: process.Result) -> TinydeployError:
    """The error of a failed run, from the line that SCons's side of us wrote."""
    for line in result.stderr.splitlines():
        if line.startswith(FAILURE_PREFIX):
            fields = json.loads(line.removeprefix(FAILURE_PREFIX))
            kind: type[TinydeployError] = getattr(errors, fields["kind"], RequestError)
            return kind(fields["message"], fields["hint"])
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("scons: *** ") if lines else f"exit code {result.returncode}"
    return RequestError(f"the build failed: {reason}")
