"""The SCons tool.

    import tinydeploy.scons
    env = Environment(tools=[tinydeploy.scons.generate])
    elf = env.TinyFirmware(model="kws_int8.tflite", board="nucleo_l4r5zi")

SCons decides what is out of date, by content: the sources that the model and the board lead to are
known before anything is written, so each file of src/ depends on its text, each object on its
source, headers and flags, the ELF on its objects and the linker's script. Programs run in the out
folder and see relative paths only: that is why two folders give the same bytes and share one
CacheDir.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock
import SCons.CacheDir
import SCons.Errors
import SCons.SConsign
import SCons.Util
from SCons.Script import Action, Builder, CScanner, Exit, GetOption

from . import build, scons_quantize, steps
from .build import BuildRequest
from .errors import InputError, RequestError, TinydeployError
from .journal import Journal
from .steps import Steps

_LOCK_TIMEOUT_S = 1800.0
_GENERATED = ".generated"
_LOCK = ".lock"

# SCons ships no types.
Environment = Any
Node = Any


def generate(env: Environment) -> None:
    """Adds TinyFirmware and Quantize: `Environment(tools=[tinydeploy.scons.generate])`."""
    env.AddMethod(tiny_firmware, "TinyFirmware")
    env.AddMethod(scons_quantize.quantize, "Quantize")


def exists(env: Environment) -> bool:
    """Whether the tool can be used, as SCons asks it."""
    del env
    return True


def tiny_firmware(env: Environment, **options: Any) -> Node:
    """Declares a firmware; SCons ends with one sentence where it cannot be planned.

    Args:
        env: Any environment with this tool; it is not changed.
        options: The names of a SConstruct's command line, `build.OPTIONS` and, for the alias
            flash, `build.FLASH_OPTIONS`. The model's file must exist when the SConstruct is read,
            or be what `env.Quantize()` returned.

    Returns:
        The node of firmware.elf. Its folder is locked until SCons ends.
    """
    flash = {name: options.pop(name) for name in build.FLASH_OPTIONS if name in options}
    try:
        request = build.request_from(options)
        quantized = scons_quantize.made_here(env, options["model"])
        if quantized is not None and not scons_quantize.settle(quantized):
            return env.File(str(request.folder / steps.ELF).replace("$", "$$"))
        _check_ours(request.folder)
        lock = _lock(request.folder)
        elf = _declare(env.Clone(), request, _plan(request))
    except TinydeployError as e:
        _tell(e)
        Exit(e.exit_code)
    if quantized is not None:
        env.Clean(elf, quantized)
    elf.attributes.td_lock = lock
    elf.attributes.td_request = request
    elf.attributes.td_flash = flash
    return elf


def _size(target: list[Node], source: list[Node], env: Environment) -> int:
    del target, env
    from . import firmware

    step: Steps = source[0].attributes.td_steps
    return _guard(lambda: print(firmware.read(step.folder / steps.ELF, step.board).summary()))


def _verify(target: list[Node], source: list[Node], env: Environment) -> int:
    del target, env
    from . import pipeline

    return _guard(lambda: pipeline.prove_here(source[0].attributes.td_request))


def _flash(target: list[Node], source: list[Node], env: Environment) -> int:
    del target, env
    from . import flashing

    attributes = source[0].attributes

    def run() -> None:
        step: Steps = attributes.td_steps
        given: dict[str, str] = attributes.td_flash
        elf = step.folder / steps.ELF
        job = flashing.prepare(elf, step.board, given.get("tool"), given.get("probe", ""))
        print(job.script, flush=True)
        flashing.write(job, print)
        print(job.told)

    return _guard(run)


def _plan(request: BuildRequest) -> Steps:
    # Here, because NumPy is not needed to say what is wrong with the command line.
    from . import boards, pipeline, toolchains
    from .plan.plan import Optimize

    board = boards.load(request.board, request.board_folders)
    toolchain = toolchains.find(
        request.toolchain, for_host=board.is_host, sanitize=request.sanitize
    )
    step = Steps(
        folder=request.folder,
        model=request.model.name,
        module=pipeline.plan_build(request),
        board=board,
        toolchain=toolchain,
        optimize=Optimize(request.optimize),
        strict=request.strict,
    )
    step.check()
    return step


def _declare(env: Environment, request: BuildRequest, step: Steps) -> Node:
    """The nodes, from texts to the ELF."""
    journal = Journal(step.folder)
    if not GetOption("no_exec"):
        atexit.register(_forget_old_report, step.folder)
        atexit.register(journal.record, (*step.objects, steps.ELF, steps.MAP))
        try:
            journal.recover()
            journal.distrust()
        except OSError as e:
            raise steps.cannot_write(step.folder, e) from e
    # The name of a record for the whole project is known at the end only.
    atexit.register(lambda: journal.close(SCons.SConsign.DB_Name))
    if request.cache:
        env.CacheDir(_open_cache(request.cache).replace("$", "$$"), _SharedCacheDir)
    declare = _Declaration(env, step, journal)

    written = {
        f"src/{path}": declare.text(f"src/{path}", text)
        for path, text in sorted(step.module.files.items())
    }
    env["CPPPATH"] = [declare.path(f"src/{folder}") for folder in step.module.include_dirs]
    compiler = Builder(action=Action(_compile, _title("CC"), ["TD_KEY"]), source_scanner=CScanner)
    objects = []
    for target, source in step.objects.items():
        key = _key(step.toolchain.version, *step.flags(source))
        objects += declare.built(compiler, [target], [written[source]], key)

    script = step.module.linker_script
    inputs = [*objects, *([written[f"src/{script}"]] if script else [])]
    key = _key(
        step.toolchain.version,
        *step.toolchain.link_flags(step.board.core),
        *step.objects,
        *([library.sha256] if (library := step.module.library) else []),
    )
    linker = Builder(action=Action(_link, _title("LD"), ["TD_KEY"]))
    elf, map_ = declare.built(linker, [steps.ELF, steps.MAP], inputs, key)

    commands = declare.text(steps.COMPILE_COMMANDS, step.compile_commands())
    generated = sorted([*written, *step.objects])
    listed = declare.text(_GENERATED, "".join(f"{path}\n" for path in generated))
    env.Precious(listed)  # is read before it is written: what is stale stands in it
    env.Requires([elf, map_], [commands, listed])
    env.Clean(elf, [commands, listed])
    return elf


class _Declaration:
    """Makes nodes of the out folder; a node's attributes carry what its action needs."""

    def __init__(self, env: Environment, step: Steps, journal: Journal) -> None:
        self._env = env
        self._step = step
        self._journal = journal

    def path(self, path: str) -> str:
        """The path as SCons takes it: a dollar sign would be a variable."""
        return str(self._step.folder / path).replace("$", "$$")

    def text(self, path: str, text: str) -> Node:
        """A file that holds a known text: written where it does not, whoever changed it."""
        env, digest = self._env, self._env.Value(_key(text))
        node = env.Command(self.path(path), digest, Action(_write, None))[0]
        env.NoCache(node)
        self._attach(node, path).td_text = text
        if not self._step.holds(path, text):
            env.AlwaysBuild(node)
        return node

    def built(self, builder: Any, targets: list[str], sources: list[Node], key: str) -> list[Node]:
        """Files that a program makes."""
        paths = [self.path(t) for t in targets]
        nodes: list[Node] = list(builder(self._env, paths, sources, TD_KEY=key))
        for node, path in zip(nodes, targets, strict=True):
            self._attach(node, path)
        return nodes

    def _attach(self, node: Node, path: str) -> Any:
        node.attributes.td_path = path
        node.attributes.td_steps = self._step
        node.attributes.td_journal = self._journal
        return node.attributes


class _SharedCacheDir(SCons.CacheDir.CacheDir):  # type: ignore[misc]
    """A CacheDir that knows outputs by their path within the out folder, not by the folder's."""

    def cachepath(self, node: Node) -> tuple[str | None, str | None]:
        if not self.is_enabled():
            return None, None
        children = [child.get_cachedir_csig() for child in node.children()]
        signature = SCons.Util.hash_collect(
            [*children, node.get_contents_sig(), node.attributes.td_path]
        )
        folder = str(Path(self.path) / signature[: self.config["prefix_len"]].upper())
        return folder, str(Path(folder) / signature)


def _forget_old_report(folder: Path) -> None:
    """Removes a report.json that tells of another image than the one beside it."""
    report, elf = folder / steps.REPORT, folder / steps.ELF
    with suppress(OSError, ValueError, AttributeError):
        told = (json.loads(report.read_bytes()).get("elf") or {}).get("sha256")
        if told != (hashlib.sha256(elf.read_bytes()).hexdigest() if elf.exists() else None):
            report.unlink()


def _open_cache(folder: Path) -> str:
    """The cache's path, absolute; the folder is made. SCons opens it too late for an error."""
    path = os.path.realpath(folder)
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        _SharedCacheDir(path)
    except (OSError, ValueError, SCons.Errors.SConsEnvironmentError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise RequestError(
            f"cannot use {folder} as a cache: {reason}",
            "choose another folder: cache=DIR (--cache)",
        ) from e
    return path


def _write(target: list[Node], source: list[Node], env: Environment) -> int:
    del source, env
    node = target[0].attributes
    if node.td_path == _GENERATED:
        node.td_steps.remove_stale(_GENERATED, node.td_text)
    return _make(target, lambda step: step.write(node.td_path, node.td_text))


def _compile(target: list[Node], source: list[Node], env: Environment) -> int:
    del env
    path = source[0].attributes.td_path

    def run(step: Steps) -> None:
        sys.stderr.write(step.compile(path, target[0].attributes.td_path))

    return _make(target, run)


def _link(target: list[Node], source: list[Node], env: Environment) -> int:
    del source, env
    return _make(target, Steps.link)


def _make(target: list[Node], step: Callable[[Steps], None]) -> int:
    """Runs a step that makes `target`; its failure is told at once, and ends the build."""
    attributes = target[0].attributes
    path = attributes.td_steps.folder / attributes.td_path

    def run() -> None:
        try:
            attributes.td_journal.changing(path)
        except OSError as e:
            raise steps.cannot_write(path, e) from e
        step(attributes.td_steps)

    return _guard(run)


def _guard(run: Callable[[], None]) -> int:
    try:
        run()
    except TinydeployError as e:
        _tell(e)
        return e.exit_code
    return 0


def _title(what: str) -> Callable[[list[Node], list[Node], Environment], str]:
    def title(target: list[Node], source: list[Node], env: Environment) -> str:
        del env
        path = (source if what == "CC" else target)[0].attributes.td_path
        return f"{what} {path}"

    return title


# Actions on a firmware's node, for an Alias: print what it takes of the board's memories; run it
# and compare its answers with the model's; write it into the board's flash.
size = Action(_size, None)
verify = Action(_verify, None)
flash = Action(_flash, None)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _check_ours(folder: Path) -> None:
    """Raises InputError where sources lie in the out folder's src/ and no build was ever there."""
    if not (folder / _LOCK).exists() and any((folder / "src").glob("*")):
        raise InputError(
            f"{folder / 'src'} holds files that tinydeploy did not write, and would write over",
            "choose another folder: out=DIR (--out)",
        )


def _lock(folder: Path) -> filelock.BaseFileLock:
    """The out folder, for this build alone until SCons ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # One object a path in this process: two firmwares in one folder get SCons's own error.
        lock = filelock.FileLock(folder / _LOCK, is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            print(f"waiting for another build in {folder}", flush=True)
            lock.acquire(timeout=_LOCK_TIMEOUT_S, poll_interval=0.1)
    except filelock.Timeout as e:
        raise RequestError(
            f"another build has been running in {folder} for {_LOCK_TIMEOUT_S:g} s",
            "choose another folder: out=DIR (--out)",
        ) from e
    except OSError as e:
        raise steps.cannot_write(folder, e) from e
    return lock


def _tell(error: TinydeployError) -> None:
    """One line for `build.build` where it started us, two for a person."""
    if os.environ.get(build.FAILURE_VARIABLE):
        fields = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        text = f"{build.FAILURE_PREFIX}{json.dumps(fields)}\n"
    else:
        text = f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else "")
    sys.stderr.write(text)
    sys.stderr.flush()
