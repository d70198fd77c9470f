"""The user's TensorFlow Lite for Microcontrollers: where it is, what is in it, for which core."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .. import settings
from ..cores import Core
from ..emit.module import Library
from ..errors import InputError, RequestError

VARIABLE = "TFLM_ROOT"
ARCHIVE = "libtensorflow-microlite.a"
HINT = "see docs/tflm.md; name it with --tflm-root, TFLM_ROOT, or [tflm] root in tinydeploy.toml"

_RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
_DEBUG_LOG = "tensorflow/lite/micro/debug_log.h"
# Where the headers of others lie: as TFLite Micro's downloads leave them, as the trees that it
# generates for other projects have them, and in one include folder.
_THIRD_PARTY = ("tensorflow/lite/micro/tools/make/downloads", "third_party", "include", ".")
_NEEDED = {
    "flatbuffers": ("flatbuffers/include", "."),
    "gemmlowp": ("gemmlowp", "."),
    "ruy": ("ruy", "."),
}
_PROOF = {
    "flatbuffers": "flatbuffers/flatbuffers.h",
    "gemmlowp": "fixedpoint/fixedpoint.h",
    "ruy": "ruy/profiler/instrumentation.h",
}
_ELF = b"\x7fELF"
_CMSIS_NN = "arm_convolve_s8"
_LOGS = "_Z11MicroPrintfPKcz"

# Tag_CPU_arch of the Arm ELF ABI, by the architecture that a core has.
_ARCHITECTURES = {
    "armv6-m": (11, 12),
    "armv7-m": (10,),
    "armv7e-m": (13,),
    "armv8-m": (17,),
    "armv8.1-m": (21,),
}
_NAMES = {tag: name for name, tags in _ARCHITECTURES.items() for tag in tags}
_SINGLE_PRECISION = 1  # Tag_ABI_HardFP_use


@dataclass(frozen=True)
class Attributes:
    """What an object file was compiled for, from its build attributes.

    Attributes:
        architecture: As `Core.architecture`.
        fpu: What instructions it uses: "none", "single" or "double".
        hard: Whether floating-point arguments are passed in floating-point registers.
        helium: Whether it uses Helium.
    """

    architecture: str
    fpu: str
    hard: bool
    helium: bool

    def __str__(self) -> str:
        unit = {"none": "no FPU"}.get(self.fpu, f"a {self.fpu}-precision FPU")
        abi = "hard" if self.hard else "soft"
        return (
            f"{self.architecture}{' with Helium' if self.helium else ''}, {unit}, {abi}-float ABI"
        )


@dataclass(frozen=True)
class Archive:
    """A built library.

    Attributes:
        path: Absolute.
        attributes: Of its objects.
        symbols: The global names that it defines.
    """

    path: Path
    attributes: Attributes
    symbols: frozenset[str]

    @property
    def has_cmsis_nn(self) -> bool:
        return _CMSIS_NN in self.symbols

    @property
    def has_logs(self) -> bool:
        """Whether it says in words what is wrong."""
        return _LOGS in self.symbols

    def summary(self) -> str:
        """In a few words: "armv7e-m single hard-float, CMSIS-NN"."""
        mine = self.attributes
        unit = "" if mine.fpu == "none" else f" {mine.fpu}"
        core = f"{mine.architecture}{unit} {'hard' if mine.hard else 'soft'}-float"
        kernels = "CMSIS-NN" if self.has_cmsis_nn else "no CMSIS-NN"
        return f"{core}, {kernels}" + (", messages" if self.has_logs else "")

    def mismatch(self, core: Core) -> str:
        """Why it cannot be linked for a core; "" when it can."""
        mine, hard = self.attributes, "-mfloat-abi=hard" in core.gcc_flags
        if mine.architecture != core.architecture:
            return f"is for {mine}; {core.title} is {core.architecture}"
        if mine.hard != hard:
            return f"is for {mine}; the board's code has the {'hard' if hard else 'soft'}-float ABI"
        order = ("none", "single", "double")
        if order.index(mine.fpu) > order.index(core.fpu):
            return f"is for {mine}; this {core.title} has {_unit(core)}"
        return ""


def _unit(core: Core) -> str:
    return "no FPU" if core.fpu == "none" else f"a {core.fpu}-precision FPU"


@dataclass(frozen=True)
class Installation:
    """A folder with TFLite Micro's headers and libraries."""

    root: Path

    @cached_property
    def headers(self) -> tuple[Path, ...]:
        """Folders that `#include` looks in.

        Raises:
            InputError: Headers are missing.
        """
        own = next(
            (f for f in (self.root, self.root / "include") if (f / _RESOLVER).is_file()), None
        )
        if own is None:
            raise InputError(f"{self.root} holds no TFLite Micro: {_RESOLVER} is not there", HINT)
        found = [own]
        for name, folders in _NEEDED.items():
            places = [self.root / base / f for base in _THIRD_PARTY for f in folders]
            place = next((p for p in places if (p / _PROOF[name]).is_file()), None)
            if place is None:
                raise InputError(
                    f"{self.root} lacks the headers of {name}, which TFLite Micro's need: no "
                    f"{_PROOF[name]} below {', '.join(_THIRD_PARTY[:3])}",
                    HINT,
                )
            found.append(place.resolve())
        return tuple(dict.fromkeys(found))

    def header(self, name: str) -> str:
        """The text of one of TFLite Micro's headers; "" when there is none."""
        try:
            return (self.headers[0] / name).read_text("utf-8", "replace")
        except OSError:
            return ""

    @cached_property
    def methods(self) -> frozenset[str]:
        """The resolver's methods that register an operator."""
        return frozenset(re.findall(r"\bTfLiteStatus\s+(Add\w+)\(", self.header(_RESOLVER)))

    @cached_property
    def archives(self) -> tuple[Archive, ...]:
        """Every library in it that can be read, those in lib/ first."""
        own = sorted(self.root.glob(f"lib/**/{ARCHIVE}"))
        built = sorted(self.root.glob(f"gen/*/lib/{ARCHIVE}"))
        return tuple(archive for path in (*own, *built) if (archive := _try_read(path)))

    @property
    def version(self) -> str:
        """The commit of its own repository, shortened; "" when it is none."""
        git = self.root / ".git"
        try:
            head = (git / "HEAD").read_text("utf-8").strip()
            if head.startswith("ref: "):
                head = _branch_head(git, head.removeprefix("ref: "))
        except OSError:
            return ""
        return f"commit {head[:7]}" if re.fullmatch("[0-9a-f]{40}", head) else ""

    def archive(self, core: Core) -> Archive:
        """The library for a core: of those that fit, the one in a folder that names the core.

        Raises:
            InputError: There is none; says what each of them is for. Or there are no headers.
        """
        _ = self.headers
        fitting = [a for a in self.archives if not a.mismatch(core)]
        if fitting:
            return min(fitting, key=lambda a: _rank(a, core))
        told = [f"{_shown(a.path, self.root)} {a.mismatch(core)}" for a in self.archives]
        reason = "; ".join(told[:4]) or f"there is no {ARCHIVE} in lib/ or gen/"
        raise InputError(f"{self.root} has no library for a {_full_name(core)}: {reason}", HINT)

    def summary(self) -> str:
        """What there is: version, the libraries and the cores that each is for.

        Raises:
            InputError: Headers are missing, or there is no library.
        """
        _ = self.headers
        if not self.archives:
            raise InputError(f"{self.root} has no {ARCHIVE} in lib/ or gen/", HINT)
        told = [f"{_shown(a.path.parent, self.root)} ({a.summary()})" for a in self.archives]
        return f"{self.version or 'unknown commit'} in {self.root}: {', '.join(told)}"

    def library(self, archive: Archive) -> Library:
        """What a firmware that uses it is compiled and linked with.

        Raises:
            InputError: Its headers are missing, or too old.
        """
        if "va_list" not in self.header(_DEBUG_LOG):
            raise InputError(f"{self.root} holds a TFLite Micro of before July 2023", HINT)
        # What the headers declare depends on these; they must say what the library was built with.
        defines = ["TF_LITE_STATIC_MEMORY", "NDEBUG"]
        defines += ["CMSIS_NN"] if archive.has_cmsis_nn else []
        defines += [] if archive.has_logs else ["TF_LITE_STRIP_ERROR_STRINGS"]
        digest = hashlib.sha256(archive.path.read_bytes()).hexdigest()
        return Library(archive.path, digest, self.headers, tuple(defines))


def root_of(named: Path | None) -> Path:
    """The installation's folder: what was named, else TFLM_ROOT, else tinydeploy.toml's.

    Raises:
        RequestError: None was named.
        InputError: It is not a folder.
    """
    variable = os.environ.get(VARIABLE)
    root = named or (Path(variable) if variable else settings.find().tflm_root)
    if root is None:
        raise RequestError("engine tflm needs TFLite Micro, and none was named", HINT)
    root = Path(os.path.abspath(root))  # noqa: PTH100  (a link stays the link that was named)
    if not root.is_dir():
        raise InputError(f"the TFLite Micro folder {root} does not exist", HINT)
    return root


def find(named: Path | None) -> Installation:
    """The installation, see `root_of()`."""
    return Installation(root_of(named))


def read_archive(path: Path) -> Archive:
    """Reads a library.

    Raises:
        InputError: It is no archive of Arm object files.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    symbols: frozenset[str] = frozenset()
    for name, data in _members(content, path):
        if name == "/":
            symbols = _symbol_table(data)
        elif data.startswith(_ELF) and (attributes := _attributes(data)):
            return Archive(path, attributes, symbols)
    raise InputError(f"{path} holds no object file for an Arm core")


def _try_read(path: Path) -> Archive | None:
    try:
        return read_archive(path)
    except InputError:
        return None


def _members(content: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive: name as stored, content."""
    if not content.startswith(b"!<arch>\n"):
        raise InputError(f"{path} is no library: it does not begin as an archive does")
    at = 8
    while at + 60 <= len(content):
        header = content[at : at + 60]
        try:
            size = int(header[48:58])
        except ValueError as error:
            raise InputError(f"{path} is damaged at byte {at}") from error
        if size < 0 or at + 60 + size > len(content):
            raise InputError(f"{path} is cut off: a member at byte {at} has {size} bytes")
        yield header[:16].decode("latin-1").rstrip(), content[at + 60 : at + 60 + size]
        at += 60 + size + size % 2


def _symbol_table(data: bytes) -> frozenset[str]:
    count = int.from_bytes(data[:4], "big")
    names = data[4 + 4 * count :].split(b"\0")
    return frozenset(name.decode("latin-1") for name in names[:count])


def _attributes(data: bytes) -> Attributes | None:
    """The build attributes of an object file; None when it has none, or is not for Cortex-M."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import ARMAttributesSection

    tags: dict[str, int] = {}
    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(".ARM.attributes")
        if not isinstance(section, ARMAttributesSection):
            return None
        for part in section.iter_subsections():
            for scope in part.iter_subsubsections():
                tags |= {a.tag: a.value for a in scope.iter_attributes()}
    except (ELFError, ValueError, KeyError, AssertionError):
        return None
    architecture = _NAMES.get(tags.get("TAG_CPU_ARCH", 0))
    if architecture is None:
        return None
    single = tags.get("TAG_ABI_HARDFP_USE") == _SINGLE_PRECISION
    fpu = "none" if not tags.get("TAG_FP_ARCH") else "single" if single else "double"
    hard = tags.get("TAG_ABI_VFP_ARGS") == 1
    return Attributes(architecture, fpu, hard, bool(tags.get("TAG_MVE_ARCH")))


def _rank(archive: Archive, core: Core) -> tuple[bool, bool, bool, bool, str]:
    """What to prefer, best first: the core's own, for its FPU, with CMSIS-NN, without logs."""
    words = str(archive.path.parent).replace("_", " ").replace("/", " ").split()
    own = any(word.split("+")[0] == core.name for word in words)
    return (
        not own,
        archive.attributes.fpu != core.fpu,
        not archive.has_cmsis_nn,
        archive.has_logs,
        str(archive.path),
    )


def _branch_head(git: Path, branch: str) -> str:
    """The commit that a branch points to, "" when there is none."""
    loose = git / branch
    if loose.is_file():
        return loose.read_text("utf-8").strip()
    packed = (git / "packed-refs").read_text("utf-8")
    match = re.search(rf"^([0-9a-f]{{40}}) {re.escape(branch)}$", packed, re.MULTILINE)
    return match[1] if match else ""


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _full_name(core: Core) -> str:
    return core.title if core.fpu == "none" else f"{core.title} with {_unit(core)}"
