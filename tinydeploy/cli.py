"""The command line: one function a verb. The only place that prints errors."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from . import __version__
from .cli_boards import boards
from .cli_check import check
from .cli_compare import compare
from .cli_compress import compress
from .cli_emit import emit
from .cli_evaluate import evaluate
from .cli_flash import flash
from .cli_options import (
    BOARDS,
    BUILD_OPTIONS,
    FILE,
    FIRMWARE,
    JSON,
    board_folders,
    build_request,
    runner_for,
)
from .cli_output import (
    print_json,
    progress,
    publisher,
    show_build,
    show_next,
    show_profile,
    show_proof,
)
from .cli_project import new
from .cli_quantize import quantize
from .cli_search import search, sensitivity
from .errors import TinydeployError


class _Commands(click.Group):
    """Shows every error as one sentence and a hint, whatever verb it comes from."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        # Without this, what we started would go on after us.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.Exit as ended:
            code = ended.exit_code
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = 2
        except click.ClickException as error:
            hint = ""
            if isinstance(error, click.UsageError) and error.ctx is not None:
                hint = f"{error.ctx.command_path} --help"
            code = _complain(error.format_message().rstrip("."), hint, 2)
        except TinydeployError as error:
            code = _complain(error.message, error.hint, error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            code = _complain("interrupted", "", 130)
        except BrokenPipeError:  # a reader such as `head` went away
            _drop_output()
            code = 1
        except MemoryError:
            code = _complain("there is not enough memory", "", 1)
        except OSError as error:  # stdout on a full disk, a working directory that is gone
            _drop_output()
            where = f" {error.filename}" if error.filename else ""
            code = _complain(f"the system says{where}: {error.strerror or error}", "", 1)
        sys.exit(code if isinstance(code, int) else 0)


def _drop_output() -> None:
    """What is still to be printed goes nowhere, where it would fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return code


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinydeploy")
def main() -> None:
    """From an int8 network to Cortex-M firmware that is proven bit for bit."""


for _command in (
    boards,
    check,
    compare,
    compress,
    emit,
    evaluate,
    flash,
    new,
    quantize,
    search,
    sensitivity,
):
    main.add_command(_command)


@main.command()
@BUILD_OPTIONS
@FIRMWARE
def build(as_json: bool, junit: Path | None, html: Path | None, **options: Any) -> None:
    """Compile MODEL into a firmware for a board.

    Writes C sources, firmware.elf, compile_commands.json and report.json.
    """
    from . import pipeline

    request = build_request(**options)
    publish = publisher(request, junit, html, as_json)
    with progress(as_json) as status:
        built = pipeline.build(request, publish, status.line)
    publish(built.report)
    if not as_json:
        show_build(built)
        elf = os.path.relpath(built.firmware.elf)
        what = ("verify", str(request.model)) if request.answers_verify else ("flash", elf)
        show_next(request, "tinydeploy", *what, "--board", request.board)


@main.command(short_help="Build MODEL, run it on a board, compare bit for bit.")
@BUILD_OPTIONS
@click.option(
    "--on",
    "runner",
    metavar="RUNNER",
    help="unicorn, qemu, renode, host or serial; as the board has.",
)
@click.option("--port", metavar="PORT", help="With --on serial: auto (default), /dev/ttyACM0, "
              "COM3, socket://HOST:PORT, rfc2217://HOST:PORT.")  # fmt: skip
@click.option("--renode", metavar="PATH", help="With --on renode: the program or its folder.")
@click.option("--inputs", default="random:8", show_default=True, metavar="SPEC",
              help="random:N, or a .npy or .npz file.")  # fmt: skip
@click.option("--layers", is_flag=True, help="Compare and time layer by layer.")
@click.option("--oracle", default="auto", metavar="NAME",
              help="tflite-micro, reference, or auto (default).")  # fmt: skip
@click.option("--save-outputs", type=FILE, metavar="FILE.npz", help="Save the device's answers.")
def verify(
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    runner: str | None,
    port: str | None,
    renode: str | None,
    inputs: str,
    layers: bool,
    oracle: str,
    save_outputs: Path | None,
    **options: Any,
) -> None:
    """Build MODEL, run it on a board or its emulator, and compare bit for bit."""
    from . import pipeline
    from .inputs import read_inputs, write_outputs
    from .oracle import open_oracle

    if runner == "host":  # the model on this machine, whatever board it is meant for
        options["board"] = "host"
    chosen = runner_for(runner, port, renode)
    request = build_request(**options)
    publish = publisher(request, junit, html, as_json)
    with progress(as_json) as status:
        prepared = pipeline.prepare(request)
        samples = read_inputs(inputs, prepared.graph)
        pipeline.find_runner(chosen, prepared.board)
        judge = open_oracle(prepared.graph, prepared.content, oracle)
        built = pipeline.build(request, publish, status.line, prepared)
        report, outputs = pipeline.prove(
            built,
            samples,
            runner=chosen,
            layers=layers,
            oracle=judge,
            publish=publish,
            progress=status.count,
        )
    publish(report)
    if save_outputs:
        write_outputs(save_outputs, built.prepared.graph, outputs)
    if not as_json:
        show_build(built)
        show_proof(report, layers=layers)
    if report.outcome != "verified":
        again = "" if layers else shlex.join(["tinydeploy", *sys.argv[1:], "--layers"])
        raise pipeline.differs(report, again)


@main.command(short_help="Show where an inference spends its time.")
@BUILD_OPTIONS
def profile(as_json: bool, junit: Path | None, html: Path | None, **options: Any) -> None:
    """Show where an inference of MODEL spends its time, layer by layer.

    Instructions are counted in an emulator, cycles estimated from them: docs/profile.md.
    """
    from . import pipeline, profiling

    request = build_request(**options)
    publish = publisher(request, junit, html, as_json)
    with progress(as_json) as status:
        prepared = pipeline.prepare(request)
        profiling.check(prepared.board)
        built = pipeline.build(request, publish, status.line, prepared)
        report = profiling.profile(built, publish=publish, progress=status.count)
    publish(report)
    if not as_json:
        show_build(built)
        show_profile(report)
        show_next(request, "tinydeploy", "verify", str(request.model), "--board", request.board)
    if report.outcome != "verified":
        raise pipeline.differs(report)


@main.command(short_help="Show operators, RAM plan, and the boards that fit.")
@click.argument("model", type=FILE)
@click.option("--core", default="cortex-m4", show_default=True, help="Plan for this core.")
@BOARDS
@JSON
def inspect(model: Path, core: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show a model's operators, tensors, MACs, weights, RAM plan, and the boards that it fits."""
    from . import cores, inspection

    plan = inspection.plan(model, cores.CORES.get(core) or cores.find(core))
    rows = inspection.fitting_rows(model, board_folders(folders))
    if as_json:
        print_json(inspection.to_dict(plan, rows))
        return
    from .report.inspection import print_boards, print_model
    from .report.terminal import console

    print_model(plan.graph, plan, console())
    print_boards(rows, console())


@main.command()
@JSON
def doctor(as_json: bool) -> None:
    """Say what is installed, what is missing, and what to type."""
    from . import doctor as examination

    findings = examination.examine()
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        from .report.inspection import print_findings
        from .report.terminal import console

        print_findings(findings, console())
    missing = [finding for finding in findings if finding.required and not finding.ok]
    if missing:
        names = ", ".join(finding.name for finding in missing)
        raise TinydeployError(f"tinydeploy does not work without {names}", missing[0].hint)


@main.command(short_help="Quantise, build, run and prove a small model.")
@click.option("--board", default="nucleo_l4r5zi", show_default=True)
@click.option("--out", type=FILE, metavar="DIR", help="Default: build/digits_int8-BOARD.")
@click.option("--train", is_flag=True, help="Train the network first; needs TensorFlow.")
@JSON
def demo(board: str, out: Path | None, train: bool, as_json: bool) -> None:
    """Quantise, build, run and prove a small model that reads handwritten digits."""
    from . import demo as shipped
    from . import pipeline

    with progress(as_json) as status:
        start = shipped.start(board, out, train, status.line)
        publish = publisher(start.request, None, None, as_json)
        built, report = shipped.run(start, publish, status.line, status.count)
    if not as_json:
        click.echo(f"{start.told}\n")
        show_build(built)
        show_proof(report, layers=True)
        show_next(start.request, "tinydeploy", "verify", "YOUR_MODEL.tflite", "--board", board)
    if report.outcome != "verified":
        raise pipeline.differs(report)
