"""A report as JUnit XML, as GitHub, GitLab and Jenkins read it.

The suite `build` has one case, `inputs` one for all inputs together, `layers` one a layer that was
compared. The report's numbers are the suites' properties.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from ..files import write_whole
from .report import Difference, Report

# What XML 1.0 has no way to hold.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(report: Report) -> str:
    """The report as JUnit XML, ending in a newline."""
    root = ET.Element("testsuites", name="tinydeploy", time=f"{report.duration_s:.3f}")
    _build_suite(root, report)
    _input_suite(root, report)
    _layer_suite(root, report)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def write(report: Report, path: Path) -> None:
    """Writes `report` as JUnit XML to `path`, whole or not at all."""
    write_whole(path, to_junit(report), "--junit")


def describe(difference: Difference) -> str:
    """A difference in one sentence."""
    place = f"input {difference.input}"
    if difference.layer is not None:
        place += f", layer {difference.layer} {difference.op}"
    index = ", ".join(str(i) for i in difference.first_index)
    return (
        f"{place}: {difference.elements_differing} of {difference.elements} elements differ, "
        f"by at most {difference.max_abs_difference:g}; first at [{index}]: "
        f"expected {difference.expected:g}, got {difference.got:g}"
    )


def _build_suite(root: ET.Element, report: Report) -> None:
    suite = _suite(root, "build", report)
    case = _case(suite, report, f"{report.model.name} on {report.board}", report.duration_s)
    if report.outcome in ("does-not-fit", "build-error"):
        _failed(suite, case, "failure", report.outcome, report.error or report.outcome)


def _input_suite(root: ET.Element, report: Report) -> None:
    if report.verify is None and report.outcome != "device-error":
        return
    suite = _suite(root, "inputs", report)
    verify = report.verify
    if report.outcome == "device-error":
        case = _case(suite, report, "run")
        _failed(suite, case, "error", report.outcome, report.error or report.outcome)
    elif verify is not None:
        case = _case(suite, report, f"{verify.inputs} inputs equal {verify.oracle.name}")
        if not verify.equal:
            message = f"{verify.inputs - verify.inputs_equal} of {verify.inputs} inputs differ"
            if verify.first_difference:
                message += f"; first: {describe(verify.first_difference)}"
            _failed(suite, case, "failure", "differs", message)


def _layer_suite(root: ET.Element, report: Report) -> None:
    compared = [layer for layer in report.layers if layer.equal is not None]
    if not compared:
        return
    suite = _suite(root, "layers", report)
    first = report.verify.first_difference if report.verify else None
    for layer in compared:
        case = _case(suite, report, f"layer {layer.index} {layer.op}")
        if not layer.equal:
            here = first if first and first.layer == layer.index else None
            message = describe(here) if here else f"layer {layer.index} {layer.op} differs"
            _failed(suite, case, "failure", "differs", message)


def _suite(root: ET.Element, name: str, report: Report) -> ET.Element:
    title = f"{report.model.name} on {report.board}: {name}"
    counts = {"tests": "0", "failures": "0", "errors": "0", "skipped": "0"}
    suite = ET.SubElement(root, "testsuite", {"name": _text(title), **counts})
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(report).items():
        ET.SubElement(properties, "property", name=key, value=_text(value))
    return suite


def _properties(report: Report) -> dict[str, str]:
    found: dict[str, object] = {
        "tinydeploy": report.tool.version,
        "model.sha256": report.model.sha256,
        "elf.sha256": report.elf and report.elf.sha256,
        "core": report.core,
        "engine": report.engine,
        "toolchain": report.toolchain and f"{report.toolchain.name} {report.toolchain.version}",
        "runner": report.runner and f"{report.runner.name} {report.runner.version}",
        "arena_bytes": report.memory and report.memory.arena_bytes,
        "ram_bytes": report.memory and report.memory.ram_bytes,
        "flash_bytes": report.memory and report.memory.flash_bytes,
        f"{report.instructions.counter}.init": report.instructions.init,
        f"{report.instructions.counter}.inference": report.instructions.inference,
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def _case(suite: ET.Element, report: Report, name: str, time_s: float = 0.0) -> ET.Element:
    suite.set("tests", str(int(suite.get("tests", "0")) + 1))
    group = f"tinydeploy.{report.board}.{report.model.name}"
    attributes = {"classname": _text(group), "name": _text(name), "time": f"{time_s:.3f}"}
    return ET.SubElement(suite, "testcase", attributes)


def _failed(suite: ET.Element, case: ET.Element, tag: str, kind: str, message: str) -> None:
    total = f"{tag}s"
    suite.set(total, str(int(suite.get(total, "0")) + 1))
    ET.SubElement(case, tag, type=kind, message=_text(message)).text = _text(message)


def _text(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
