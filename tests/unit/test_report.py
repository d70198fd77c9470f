"""report.json: what is written is read back, its schema's documents are current, views hold."""

from __future__ import annotations

import dataclasses
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from tests.support import REPOSITORY
from tinydeploy.compare import Comparison
from tinydeploy.errors import InputError, RequestError
from tinydeploy.report import cost_table, junit, schema, table, terminal
from tinydeploy.report.comparison import print_comparison
from tinydeploy.report.report import (
    Accuracy,
    Cost,
    Difference,
    Elf,
    Instructions,
    Layer,
    LeftOut,
    Memory,
    Model,
    Report,
    Section,
    Timing,
    Tool,
    Verify,
    read,
    to_dict,
    write,
)

HOSTILE = "a\"b'*/\n\x1b[31m[red]\u202e\ud800<&>\x00"

VERIFIED = Report(
    outcome="verified",
    tool=Tool("tinydeploy", "0.1.0"),
    model=Model("models/digits_int8.tflite", "ab" * 32, "digits_int8"),
    board="nucleo_l4r5zi",
    core="cortex-m4",
    engine="aot",
    toolchain=Tool("arm-gnu", "12.2.1"),
    runner=Tool("unicorn", "2.1.4"),
    elf=Elf("build/firmware.elf", "cd" * 32),
    memory=Memory(
        arena_bytes=3072,
        ram_bytes=13_312,
        flash_bytes=22_222,
        weights_bytes=6912,
        code_bytes=15_310,
        board_ram_bytes=640 << 10,
        board_flash_bytes=2 << 20,
        sections=(Section(".text", "flash", 15_000), Section(".data", "both", 16)),
    ),
    instructions=Instructions("instructions", init=1234, inference=412_345),
    layers=(
        Layer(0, "CONV_2D", "x", "td_s8_conv_2d_3x3__dsp", 9216, (1, 8, 8, 16), 400_000, True),
        Layer(1, "RESHAPE", "y", "", 0, (1, 1024), None, True),
        Layer(2, "SOFTMAX", "z", "td_s8_softmax__scalar", 0, (1, 10), 12_345, True),
    ),
    verify=Verify(Tool("tflite-micro", "0.dev1"), inputs=8, inputs_equal=8, equal=True),
    accuracy=Accuracy(inputs=450, correct=447),
    versions={"numpy": "2.0.0"},
    duration_s=1.5,
)

DIFFERS = dataclasses.replace(
    VERIFIED,
    outcome="differs",
    error="outputs differ",
    layers=tuple(dataclasses.replace(layer, equal=layer.index != 2) for layer in VERIFIED.layers),
    verify=Verify(
        Tool("tflite-micro", "0.dev1"),
        inputs=8,
        inputs_equal=5,
        equal=False,
        retries=2,
        first_difference=Difference(3, 2, "SOFTMAX", HOSTILE, 4, 10, 3.0, (0, 7), -12, -11),
    ),
)

SILENT = dataclasses.replace(
    VERIFIED, outcome="device-error", error="the device fell silent", verify=None, layers=()
)
TOO_BIG = dataclasses.replace(
    VERIFIED, outcome="does-not-fit", error="needs 148 KiB", verify=None, runner=None, elf=None
)
ALL = [VERIFIED, DIFFERS, SILENT, TOO_BIG]


@pytest.mark.parametrize("report", ALL, ids=lambda report: report.outcome)
def test_what_is_written_is_read_back(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.json"
    write(report, path)
    assert read(path) == report
    assert [entry.name for entry in path.parent.iterdir()] == ["report.json"]


@pytest.mark.parametrize("report", ALL, ids=lambda report: report.outcome)
def test_written_reports_follow_the_schema(report: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(schema.json_schema())
    jsonschema.validate(json.loads(json.dumps(to_dict(report))), schema.json_schema())


def test_schema_rejects_what_is_not_a_report() -> None:
    content = to_dict(VERIFIED)
    for broken in ({"outcome": "fine"}, {"schema": 2}, {"memory": {}}, {"layers": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**content, **broken}, schema.json_schema())


def test_documents_are_current() -> None:
    """Mend with: python -m tinydeploy.report.schema"""
    docs = REPOSITORY / "docs"
    assert (docs / "report.schema.json").read_text() == schema.json_schema_text()
    page = (docs / "report.md").read_text()
    assert page == schema.with_fields(page)


def test_a_field_that_a_newer_writer_adds_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**to_dict(VERIFIED), "energy_uj": 12}))
    assert read(path) == VERIFIED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "has report schema None"),
        ('{"schema": 99}', "has report schema 99"),
        ('{"schema": 1}', "report has no outcome"),
        (json.dumps({**to_dict(VERIFIED), "board": 3}), r"report\.board is a whole number"),
        (json.dumps({**to_dict(VERIFIED), "outcome": "x"}), r"report\.outcome is 'x'"),
        (
            json.dumps({**to_dict(VERIFIED), "layers": [3]}),
            r"report\.layers\[0\] is a whole number",
        ),
    ],
)
def test_what_is_not_a_report_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(RequestError, match="cannot write"):
        write(VERIFIED, tmp_path / "report.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]
    with pytest.raises(RequestError) as caught:
        junit.write(VERIFIED, tmp_path)
    assert caught.value.hint == "choose another place to write to: --junit"


def test_junit_of_a_proof() -> None:
    root = ET.fromstring(junit.to_junit(VERIFIED))
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == (
        "testsuites", "5", "0", "0",
    )  # fmt: skip
    assert [len(suite.findall("testcase")) for suite in root] == [1, 1, 3]
    properties = {p.get("name"): p.get("value") for p in root.findall("testsuite/properties/*")}
    assert properties["arena_bytes"] == "3072"
    assert properties["instructions.inference"] == "412345"


def test_junit_of_a_difference_names_the_layer() -> None:
    root = ET.fromstring(junit.to_junit(DIFFERS))
    assert (root.get("tests"), root.get("failures")) == ("5", "2")
    inputs, layer = root.iter("failure")
    assert "3 of 8 inputs differ" in inputs.get("message", "")
    for failure in (inputs, layer):
        assert "layer 2 SOFTMAX: 4 of 10 elements differ, by at most 3" in failure.get(
            "message", ""
        )
        assert "at [0, 7]: expected -12, got -11" in failure.get("message", "")


@pytest.mark.parametrize(
    ("report", "failures", "errors"), [(SILENT, "0", "1"), (TOO_BIG, "1", "0")]
)
def test_junit_of_failures(report: Report, failures: str, errors: str) -> None:
    root = ET.fromstring(junit.to_junit(report))
    assert (root.get("failures"), root.get("errors")) == (failures, errors)


def test_junit_holds_any_text() -> None:
    hostile = dataclasses.replace(
        SILENT, error=HOSTILE, model=Model(HOSTILE, "00", HOSTILE), board="b"
    )
    ET.fromstring(junit.to_junit(hostile))


def _shown(report: Report, encoding: str, width: int = 80) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    to = terminal.console(file, width)
    table.print_build(report, to)
    table.print_verify(report, to)
    table.print_layers(report, to)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("report", ALL, ids=lambda report: report.outcome)
def test_views_fit_a_pipe_of_80_columns(report: Report, encoding: str) -> None:
    lines = _shown(report, encoding).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_what_is_shown_of_layers_is_whole_at_any_width(width: int) -> None:
    shown = _shown(VERIFIED, "utf-8", width)
    assert max(map(len, shown.splitlines())) <= width
    rows = shown.partition("operator")[2]
    assert "…" not in rows
    for layer in VERIFIED.layers:
        assert layer.op in rows
        if layer.instructions is not None:
            assert f"{layer.instructions:,}" in rows


PROFILED = dataclasses.replace(
    VERIFIED,
    timing=Timing("a manual", False, 100_000_000, 4, 30_000, 20_000, 40_000, 9_000),
    layers=tuple(
        dataclasses.replace(layer, cost=Cost(10_000, 9_000, 11_000, 3_000, 500, 12_345, 2_345))
        for layer in VERIFIED.layers
    ),
)


@pytest.mark.parametrize("width", [40, 60, 74, 200])
def test_a_profile_names_kernels_at_any_width(width: int) -> None:
    file = io.StringIO()
    cost_table.print_profile(PROFILED, terminal.console(file, width))
    rows = file.getvalue().partition("kernel")[2]
    assert "…" not in rows
    assert max(map(len, rows.splitlines())) <= width
    words = " ".join(rows.split())
    assert width < 70 or f"0 {'conv' if width < 80 else 'CONV_2D'} s8 3x3 dsp 9.22k" in words


def test_a_comparison_says_what_an_engine_leaves_out() -> None:
    left_out = LeftOut(channels=2160, of_channels=3252, macs=3_723_188, weights_bytes=184_556)
    reports = (dataclasses.replace(VERIFIED, left_out=left_out), VERIFIED)
    to = Console(width=100, file=io.StringIO())
    print_comparison(Comparison(reports, inputs=1, outputs_equal=1), to)
    assert isinstance(to.file, io.StringIO)
    shown = to.file.getvalue()
    assert shown.count("dead channels 2,160 of 3,252") == 1
    assert "3,723,188 MACs" in shown


def test_a_difference_is_named() -> None:
    shown = _shown(DIFFERS, "utf-8")
    assert "✗ differs  on 3 of 8 inputs" in shown
    assert "input 3, layer 2 SOFTMAX" in shown
    assert "4 of 10 elements differ, by at most 3" in shown


def test_a_proof_says_what_it_is_worth() -> None:
    shown = _shown(VERIFIED, "utf-8")
    assert "✓ bit-exact  on 8 inputs" in shown
    assert "tflite-micro 0.dev1" in shown
    assert "447 of 450" in shown
    assert "13 KiB of 640 KiB" in shown


def test_hostile_names_are_only_text() -> None:
    report = dataclasses.replace(VERIFIED, model=Model("m", "00", HOSTILE * 1000))
    shown = _shown(report, "utf-8")
    assert "\x1b" not in shown
    assert "[red]" in shown
    assert "\\u202e" in shown


def test_kernels_are_named_without_their_operator() -> None:
    names = [table.short_kernel(layer) for layer in VERIFIED.layers]
    assert names == ["s8 3x3 dsp", "", "s8 scalar"]


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205", "12.2.1"),
        ("clang version 20.1.2 (https://example.org/llvm 0123abc)", "20.1.2"),
        ("2.1.4", "2.1.4"),
        ("unknown", "unknown"),
    ],
)
def test_versions_are_shown_as_numbers(told: str, number: str) -> None:
    assert table.short_version(told) == number


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (2 << 20, "2 MiB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert terminal.size(count) == text


@pytest.mark.parametrize(("share", "full"), [(0, 0), (0.001, 1), (0.5, 5), (1, 10), (7, 10)])
def test_bars(share: float, full: int) -> None:
    assert terminal.bar(share, 10, terminal.ASCII).plain == "#" * full + "." * (10 - full)


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.console().no_color
    assert isinstance(terminal.console(), Console)
