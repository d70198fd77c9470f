"""Processor cores: compiler flags, instruction sets, emulator names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from .errors import InputError

if TYPE_CHECKING:
    from .plan.plan import Isa

Fpu = Literal["none", "single", "double"]
Architecture = Literal["host", "armv6-m", "armv7-m", "armv7e-m", "armv8-m", "armv8.1-m"]


@dataclass(frozen=True)
class Core:
    """A processor core, with the floating-point unit that a part was made with.

    Attributes:
        name: Arm's own name: "cortex-m4"; "host" is the machine that tinydeploy runs on.
        title: "Cortex-M4".
        architecture: "armv7e-m".
        isa_names: Values of `Isa`, best first, always ending in "scalar".
        fpu: What the hardware computes: nothing, float, or float and double.
        gcc_flags: For arm-none-eabi-gcc.
        zig_target, zig_cpu: For `zig cc -target … -mcpu=…`.
        unicorn_model: A name in unicorn.arm_const; empty where Unicorn has no such core.
        has_dwt: May have the CYCCNT cycle counter (firmware probes for it).
        has_vtor: Has a vector table offset register.
        has_caches: May have L1 caches that start-up code switches on.
        has_fault_status: Has CFSR, HFSR, MMFAR and BFAR.
    """

    name: str
    title: str
    architecture: Architecture
    isa_names: tuple[str, ...]
    fpu: Fpu = "none"
    gcc_flags: tuple[str, ...] = ()
    zig_target: str = ""
    zig_cpu: str = ""
    unicorn_model: str = ""
    has_dwt: bool = False
    has_vtor: bool = True
    has_caches: bool = False
    has_fault_status: bool = True

    @property
    def isas(self) -> tuple[Isa, ...]:
        """The kernels' instruction sets, best first, ending in `Isa.SCALAR`."""
        from .plan.plan import Isa  # here, so that listing boards does not import NumPy

        return tuple(Isa(name) for name in self.isa_names)

    @property
    def has_helium(self) -> bool:
        return "mve" in self.isa_names

    @property
    def is_host(self) -> bool:
        return self.architecture == "host"


_SCALAR = ("scalar",)
_DSP = ("dsp", "scalar")
_MVE = ("mve", "dsp", "scalar")

HOST = Core("host", "this machine", "host", _SCALAR, fpu="double", has_vtor=False)

# Without a floating-point unit; find() adds it.
CORES = {
    core.name: core
    for core in (
        Core("cortex-m0", "Cortex-M0", "armv6-m", _SCALAR, zig_cpu="cortex_m0",
             unicorn_model="UC_CPU_ARM_CORTEX_M0", has_vtor=False, has_fault_status=False),
        Core("cortex-m0plus", "Cortex-M0+", "armv6-m", _SCALAR, zig_cpu="cortex_m0plus",
             unicorn_model="UC_CPU_ARM_CORTEX_M0", has_fault_status=False),
        Core("cortex-m3", "Cortex-M3", "armv7-m", _SCALAR, zig_cpu="cortex_m3",
             unicorn_model="UC_CPU_ARM_CORTEX_M3", has_dwt=True),
        Core("cortex-m4", "Cortex-M4", "armv7e-m", _DSP, zig_cpu="cortex_m4",
             unicorn_model="UC_CPU_ARM_CORTEX_M4", has_dwt=True),
        Core("cortex-m7", "Cortex-M7", "armv7e-m", _DSP, zig_cpu="cortex_m7",
             unicorn_model="UC_CPU_ARM_CORTEX_M7", has_dwt=True, has_caches=True),
        Core("cortex-m33", "Cortex-M33", "armv8-m", _DSP, zig_cpu="cortex_m33",
             unicorn_model="UC_CPU_ARM_CORTEX_M33", has_dwt=True),
        Core("cortex-m55", "Cortex-M55", "armv8.1-m", _MVE, zig_cpu="cortex_m55",
             has_dwt=True, has_caches=True),
    )
}  # fmt: skip

# (core, fpu) -> (-mfpu of GCC, CPU features of zig's clang, which switches none on by itself)
_FPUS = {
    ("cortex-m4", "single"): ("fpv4-sp-d16", "+vfp4d16sp"),
    ("cortex-m7", "single"): ("fpv5-sp-d16", "+fp_armv8d16sp"),
    ("cortex-m7", "double"): ("fpv5-d16", "+fp_armv8d16+fp64"),
    ("cortex-m33", "single"): ("fpv5-sp-d16", "+fp_armv8d16sp"),
    ("cortex-m55", "double"): ("auto", "+fp_armv8d16+fp64"),
}

# What zig's clang leaves out of a core that arm-none-eabi-gcc takes for granted.
_ZIG_FEATURES = {"cortex-m33": "+dsp", "cortex-m55": "+mve_fp"}


def find(name: str, fpu: Fpu = "none") -> Core:
    """The core of that name with that floating-point unit.

    Args:
        name: A key of `CORES`.
        fpu: What the part was made with.

    Returns:
        The core, its compiler flags filled in.

    Raises:
        InputError: There is no such core, or it is never made with such a unit.
    """
    if name not in CORES:
        raise InputError(f"unknown core {name!r}", f"known: {', '.join(CORES)}")
    core = CORES[name]
    if fpu != "none" and (name, fpu) not in _FPUS:
        known = [unit for other, unit in _FPUS if other == name]
        raise InputError(
            f"{name} has no {fpu}-precision floating-point unit",
            f"its fpu is one of: {', '.join(['none', *known])}",
        )
    if fpu == "none" and core.has_helium:
        raise InputError(f"{name} without a floating-point unit is not supported", 'fpu = "double"')
    gcc: tuple[str, ...] = (f"-mcpu={name}", "-mthumb")
    zig = core.zig_cpu + _ZIG_FEATURES.get(name, "")
    if fpu == "none":
        return replace(
            core,
            gcc_flags=(*gcc, "-mfloat-abi=soft"),
            zig_target="thumb-freestanding-eabi",
            zig_cpu=zig,
        )
    mfpu, features = _FPUS[name, fpu]
    return replace(
        core,
        fpu=fpu,
        gcc_flags=(*gcc, "-mfloat-abi=hard", f"-mfpu={mfpu}"),
        zig_target="thumb-freestanding-eabihf",
        zig_cpu=zig + features,
    )
