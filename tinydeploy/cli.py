"""The command line: one function a verb. The only place that prints errors."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__, settings
from .build import FIRMWARES
from .cli_check import check
from .cli_compare import compare
from .cli_compress import compress
from .cli_emit import emit
from .cli_evaluate import evaluate
from .cli_project import new
from .cli_quantize import quantize
from .cli_search import search, sensitivity
from .errors import InputError, TinydeployError

if TYPE_CHECKING:
    from .build import BuildRequest
    from .pipeline import Built, Publish
    from .report.report import Report
    from .runners import Runner

_FILE = click.Path(path_type=Path)


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


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_boards = click.option(
    "--boards", "folders", type=_FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
_build_options = _options(
    click.argument("model", type=_FILE),
    click.option("--board", metavar="NAME", help="See `tinydeploy boards`."),
    click.option("--out", type=_FILE, metavar="DIR", help="Default: build/MODEL-BOARD."),
    click.option("--engine", metavar="NAME", help="aot (default) or tflm."),
    click.option("--tflm-root", type=_FILE, metavar="DIR", help="TFLite Micro, for engine tflm."),
    click.option(
        "--arena",
        type=click.IntRange(1),
        metavar="BYTES",
        help="For engine tflm; measured if not given.",
    ),
    click.option("--toolchain", metavar="NAME", help="auto (default), arm-gnu, zig or host."),
    click.option("--opt", metavar="GOAL", help="speed (default) or size."),
    click.option("--cache", type=_FILE, metavar="DIR", help="Share object files between builds."),
    click.option("--sanitize", is_flag=True, help="With sanitizers; for --board host."),
    click.option("--junit", type=_FILE, metavar="FILE", help="Also write the report as JUnit XML."),
    click.option("--html", type=_FILE, metavar="FILE", help="Also write the report as a page."),
    _boards,
    _json,
)

_firmware = _options(
    click.option("--firmware", type=click.Choice(FIRMWARES), default=FIRMWARES[0],
                 help="Who talks to it: tinydeploy (default), or MLPerf Tiny's runner."),
    click.option("--app", type=_FILE, metavar="DIR", help="Your program's sources, in place of "
                 "the firmware that answers verify."),
)  # fmt: skip


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinydeploy")
def main() -> None:
    """From an int8 network to Cortex-M firmware that is proven bit for bit."""


main.add_command(check)
main.add_command(compare)
main.add_command(compress)
main.add_command(emit)
main.add_command(evaluate)
main.add_command(new)
main.add_command(quantize)
main.add_command(search)
main.add_command(sensitivity)


@main.command()
@_build_options
@_firmware
def build(as_json: bool, junit: Path | None, html: Path | None, **options: Any) -> None:
    """Compile MODEL into a firmware for a board.

    Writes C sources, firmware.elf, compile_commands.json and report.json.
    """
    from . import pipeline

    request = _request(**options)
    publish = _publish(request, junit, html, as_json)
    with _progress(as_json) as status:
        built = pipeline.build(request, publish, status.line)
    publish(built.report)
    if not as_json:
        _show_build(built)
        elf = os.path.relpath(built.firmware.elf)
        what = f"verify {request.model}" if request.answers_verify else f"flash {elf}"
        _next(request, f"tinydeploy {what} --board {request.board}")


@main.command()
@_build_options
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
@click.option("--save-outputs", type=_FILE, metavar="FILE.npz", help="Save the device's answers.")
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
    chosen = _runner(runner, port, renode)
    request = _request(**options)
    publish = _publish(request, junit, html, as_json)
    with _progress(as_json) as status:
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
        _show_build(built)
        _show_proof(report, layers=layers)
    if report.outcome != "verified":
        again = "" if layers else shlex.join(["tinydeploy", *sys.argv[1:], "--layers"])
        raise pipeline.differs(report, again)


@main.command()
@_build_options
@_firmware
@click.option("--tool", metavar="NAME", help="Default: the first of the board's.")
@click.option("--probe", default="", metavar="ID",
              help="Which of several: a probe's serial number, a port, a drive.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the commands; write only their files.")
@click.option("--and-verify", is_flag=True, help="Then verify on the board: needs a model.")
@click.option("--port", metavar="PORT", help="For --and-verify; as of verify.")
def flash(
    model: Path,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    tool: str | None,
    probe: str,
    dry_run: bool,
    and_verify: bool,
    port: str | None,
    **options: Any,
) -> None:
    """Write a firmware into a board's flash: MODEL, or an ELF that is built already."""
    from . import boards, flashing, pipeline

    request = _request(model, **options)
    board = boards.load(request.board, request.board_folders)
    is_elf = flashing.is_elf(model)
    if and_verify and (is_elf or dry_run or not request.answers_verify):
        what = "an ELF" if is_elf else "--dry-run" if dry_run else "firmware of another kind"
        raise InputError(f"--and-verify cannot be with {what}", "it is for a model, a .tflite file")
    if and_verify and port is None and board.usb is None:
        raise InputError(f"{board.name} has no USB port of its own", "name one: --port PORT")
    publish = _publish(request, junit, html, as_json and and_verify)
    with _progress(as_json) as status:
        built = None if is_elf else pipeline.build(request, publish, status.line)
        elf = built.firmware.elf if built else model
        job = flashing.prepare(elf, board, tool, probe)
        if dry_run:
            click.echo(job.to_json() if as_json else job.script)
            return
        flashing.write(job, status.line)
    if not as_json:
        click.echo(job.told)
    if built and and_verify:
        runner = _runner("serial", port, None) or "serial"
        with _progress(as_json) as status:
            report = pipeline.prove_flashed(built, runner, publish, status.count)
        publish(report)
        if not as_json:
            _show_proof(report, layers=False)
        if report.outcome != "verified":
            raise pipeline.differs(report)
    elif as_json:
        click.echo(job.to_json())
    elif built and request.answers_verify:
        click.echo(f"next: tinydeploy verify {model} --board {board.name} --on serial")


@main.command()
@_build_options
def profile(as_json: bool, junit: Path | None, html: Path | None, **options: Any) -> None:
    """Show where an inference of MODEL spends its time, layer by layer.

    Instructions are counted in an emulator, cycles estimated from them: docs/profile.md.
    """
    from . import pipeline, profiling

    request = _request(**options)
    publish = _publish(request, junit, html, as_json)
    with _progress(as_json) as status:
        prepared = pipeline.prepare(request)
        profiling.check(prepared.board)
        built = pipeline.build(request, publish, status.line, prepared)
        report = profiling.profile(built, publish=publish, progress=status.count)
    publish(report)
    if not as_json:
        _show_build(built)
        _show_profile(report)
        _next(request, f"tinydeploy verify {request.model} --board {request.board}")
    if report.outcome != "verified":
        raise pipeline.differs(report)


@main.command()
@click.argument("model", type=_FILE)
@click.option("--core", default="cortex-m4", show_default=True, help="Plan for this core.")
@_boards
@_json
def inspect(model: Path, core: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show a model's operators, tensors, MACs, weights, RAM plan, and the boards that it fits."""
    from . import cores, inspection

    plan = inspection.plan(model, cores.CORES.get(core) or cores.find(core))
    rows = inspection.fitting_rows(model, _folders(folders))
    if as_json:
        _print_json(inspection.to_dict(plan, rows))
        return
    from .report.inspection import print_boards, print_model
    from .report.terminal import console

    print_model(plan.graph, plan, console())
    print_boards(rows, console())


@main.group(invoke_without_command=True)
@click.option("--fits", type=_FILE, metavar="MODEL", help="Show how much MODEL takes of each.")
@_boards
@_json
@click.pass_context
def boards(
    context: click.Context, fits: Path | None, folders: tuple[Path, ...], as_json: bool
) -> None:
    """List the boards."""
    context.obj = _folders(folders)
    if context.invoked_subcommand:
        return
    from . import inspection

    rows = inspection.fitting_rows(fits, context.obj) if fits else inspection.rows(context.obj)
    if as_json:
        _print_json([inspection.row_dict(row) for row in rows])
        return
    from .report.inspection import print_boards
    from .report.terminal import console

    print_boards(rows, console())


@boards.command("show")
@click.argument("name")
@_json
@click.pass_obj
def boards_show(folders: tuple[Path, ...], name: str, as_json: bool) -> None:
    """Show all that is known of the board NAME."""
    from . import inspection

    facts = inspection.board_dict(name, folders)
    if as_json:
        _print_json(facts)
        return
    from .report.inspection import print_facts
    from .report.terminal import console

    print_facts(facts, console())


@boards.command("new")
@click.argument("name")
@click.option(
    "--mcu", required=True, metavar="NAME", help="A microcontroller: boards/mcu/NAME.toml."
)
@click.option(
    "--in",
    "target",
    type=_FILE,
    metavar="DIR",
    help="Your folder of boards. Default: the first that --boards or tinydeploy.toml names.",
)
@click.pass_obj
def boards_new(folders: tuple[Path, ...], name: str, mcu: str, target: Path | None) -> None:
    """Begin a board NAME of your own: a board.toml that runs in the emulator at once."""
    from . import scaffold

    folder = target or (folders[0] if folders else Path("boards"))
    path = scaffold.new_board(name, mcu, folder, folders)
    click.echo(f"wrote {os.path.relpath(path)}")
    click.echo(f"next: tinydeploy verify MODEL --board {name} --boards {os.path.relpath(folder)}")


@main.command()
@_json
def doctor(as_json: bool) -> None:
    """Say what is installed, what is missing, and what to type."""
    from . import doctor as examination

    findings = examination.examine()
    if as_json:
        _print_json([finding.to_dict() for finding in findings])
    else:
        from .report.inspection import print_findings
        from .report.terminal import console

        print_findings(findings, console())
    missing = [finding for finding in findings if finding.required and not finding.ok]
    if missing:
        names = ", ".join(finding.name for finding in missing)
        raise TinydeployError(f"tinydeploy does not work without {names}", missing[0].hint)


@main.command()
@click.option("--board", default="nucleo_l4r5zi", show_default=True)
@click.option("--out", type=_FILE, metavar="DIR", help="Default: build/digits_int8-BOARD.")
@click.option("--train", is_flag=True, help="Train the network first; needs TensorFlow.")
@_json
def demo(board: str, out: Path | None, train: bool, as_json: bool) -> None:
    """Quantise, build, run and prove a small model that reads handwritten digits."""
    from . import demo as shipped
    from . import pipeline

    with _progress(as_json) as status:
        start = shipped.start(board, out, train, status.line)
        publish = _publish(start.request, None, None, as_json)
        built, report = shipped.run(start, publish, status.line, status.count)
    if not as_json:
        click.echo(f"{start.told}\n")
        _show_build(built)
        _show_proof(report, layers=True)
        _next(start.request, "tinydeploy verify YOUR_MODEL.tflite --board nucleo_l4r5zi")
    if report.outcome != "verified":
        raise pipeline.differs(report)


def _runner(name: str | None, port: str | None, renode: str | None) -> str | Runner | None:
    """The runner that --on, --port and --renode ask for; each of the last two names its own."""

    def tell(line: str) -> None:
        click.echo(line, err=True)

    for option, value, own in (("--port", port, "serial"), ("--renode", renode, "renode")):
        if value is not None and name not in (None, own):
            raise InputError(f"{option} is for --on {own}, and --on is {name}", f"--on {own}")
        name = own if value is not None else name
    if name == "serial":
        from .runners.serial import AUTO, SerialRunner

        return SerialRunner(port or AUTO, tell)
    if name == "renode":
        from .runners.renode import RenodeRunner

        return RenodeRunner(renode, tell=tell)
    return name


def _folders(given: tuple[Path, ...]) -> tuple[Path, ...]:
    folders = (*given, *settings.find().boards)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"the boards folder {folder} does not exist")
    return folders


def _request(
    model: Path,
    board: str | None,
    out: Path | None,
    engine: str | None,
    toolchain: str | None,
    opt: str | None,
    cache: Path | None,
    sanitize: bool,
    folders: tuple[Path, ...],
    tflm_root: Path | None = None,
    arena: int | None = None,
    app: Path | None = None,
    firmware: str = FIRMWARES[0],
) -> BuildRequest:
    """What to build: options first, then tinydeploy.toml, then defaults."""
    from .build import BuildRequest

    found = settings.find()
    name = board or found.board
    if name is None:
        verb = click.get_current_context().info_name
        raise InputError("no board was named", f"tinydeploy {verb} {model} --board nucleo_l4r5zi")
    if app and firmware != FIRMWARES[0]:
        raise InputError(f"--app has no place for --firmware {firmware}", "leave one out")
    optimize = opt or found.opt or "speed"
    if optimize not in ("speed", "size"):
        raise InputError(f"--opt is {optimize!r}", "--opt speed | --opt size")
    return BuildRequest(
        model=model,
        board=name,
        firmware=firmware,
        engine=engine or found.engine or "aot",
        toolchain=toolchain or found.toolchain or "auto",
        optimize=optimize,
        out=out,
        board_folders=_folders(folders),
        cache=cache or found.cache,
        sanitize=sanitize,
        tflm_root=tflm_root,
        arena_bytes=arena,
        app=app,
    )


def _publish(
    request: BuildRequest, junit: Path | None, html: Path | None, as_json: bool
) -> Publish:
    """Writes a report to all the places that were asked for."""
    from .report import junit as xml
    from .report import report as r
    from .steps import REPORT

    def publish(report: Report) -> None:
        r.write(report, request.folder / REPORT)
        if junit:
            xml.write(report, junit)
        if html:
            from .report.html import write as write_page

            write_page(report, html)
        if as_json:
            click.echo(r.to_json(report), nl=False)

    return publish


def _progress(as_json: bool) -> Any:
    from .report.progress import Progress

    return Progress(silent=as_json)


def _show_build(built: Built) -> None:
    from .report.table import print_build
    from .report.terminal import console

    print_build(built.report, console())


def _show_proof(report: Report, *, layers: bool) -> None:
    from .report.table import print_layers, print_verify
    from .report.terminal import console

    if layers:
        print_layers(report, console())
    print_verify(report, console())


def _show_profile(report: Report) -> None:
    from .report.cost_table import print_profile
    from .report.terminal import console

    print_profile(report, console())


def _next(request: BuildRequest, command: str) -> None:
    shown = os.path.relpath(request.folder)
    click.echo(f"\nwrote {shown}/firmware.elf, {shown}/report.json\nnext: {command}")


def _print_json(content: Any) -> None:
    import json

    click.echo(json.dumps(content, indent=2, allow_nan=False))
