"""`tinydeploy evaluate`: models side by side on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .report.evaluation import Evaluation

_FILE = click.Path(path_type=Path)
_BAR_CELLS = 24
_TASKS = ("classification", "regression", "anomaly")


@click.command(short_help="Measure models on labelled data, side by side.")
@click.argument("models", type=_FILE, nargs=-1, required=True)
@click.option("--eval", "data", required=True, metavar="DATA",
              help="A .npz, .npy or .csv file, a folder of images or wav files (a folder a class), "
                   "or file.py:function.")  # fmt: skip
@click.option("--on", default="oracle", show_default=True, metavar="WHERE",
              help="oracle (what a device computes), litert, unicorn, qemu, renode, host or "
                   "serial.")  # fmt: skip
@click.option("--port", metavar="PORT", help="With --on serial: auto (default), /dev/ttyACM0, "
              "COM3, socket://HOST:PORT, rfc2217://HOST:PORT.")  # fmt: skip
@click.option("--board", metavar="NAME", help="The board to run on; see `tinydeploy boards`.")
@click.option("--metric", metavar="NAME",
              help="To compare by: accuracy, top-K, f1, auc, mse or mae.")  # fmt: skip
@click.option("--task", type=click.Choice(_TASKS), help="Default: told by labels and shapes.")
@click.option("--labels", metavar="NAMES",
              help="Names of the classes, a,b,c or a file with one a line.")  # fmt: skip
@click.option("--transform", default="", metavar="STEPS",
              help="What each sample goes through: resize=96x96,gray,scale=1/255.")  # fmt: skip
@click.option("--label", metavar="NAME", help="The array or column that is the label.")
@click.option("--columns", metavar="NAMES", help="The arrays or columns that are inputs, a,b,c.")
@click.option("--samples", type=click.IntRange(1), metavar="N",
              help="Only N, spread over the set.")  # fmt: skip
@click.option("--confidence", type=float, default=0.95, show_default=True)
@click.option("--html", type=_FILE, metavar="FILE", help="Also write a page.")
@click.option("--boards", "folders", type=_FILE, multiple=True, metavar="DIR",
              help="A folder of your boards.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(as_json: bool, html: Path | None, **options: Any) -> None:
    """Measure MODELS (.tflite) on labelled data, side by side.

    The first model is what the others are compared with. Quantised models are computed by the
    oracle, which is what a device computes, or on the device with --on; float models by LiteRT.
    """
    from .report.progress import Progress

    with Progress(silent=as_json) as status:

        def progress(name: str, done: int, total: int) -> None:
            cells = _BAR_CELLS * done // max(total, 1)
            bar = "#" * cells + "." * (_BAR_CELLS - cells)
            status.line(f"{name[:24]}  {bar}  {done} of {total}")

        found = _evaluate(progress, status.line, histograms=html is not None, **options)
    if html:
        from .files import write_whole
        from .report.html import evaluation_page

        write_whole(html, evaluation_page(found), "--html")
    _show(found, html, as_json)
    _judge(found)


def _evaluate(
    progress: Any,
    on_line: Any,
    *,
    models: tuple[Path, ...],
    data: str,
    labels: str | None,
    transform: str,
    label: str | None,
    columns: str | None,
    folders: tuple[Path, ...],
    **options: Any,
) -> Evaluation:
    from .quantize import data as loading
    from .quantize import evaluate as evaluation

    names = label_names(labels)
    dataset = loading.load(
        data,
        transform=transform,
        label=label,
        columns=tuple(columns.split(",")) if columns else (),
        label_names=names,
    )
    request = evaluation.EvaluateRequest(
        models=models,
        data=dataset,
        source=data,
        labels=names,
        board_folders=folders,
        **options,
    )
    return evaluation.evaluate(request, progress, on_line)


def label_names(given: str | None) -> tuple[str, ...]:
    """The classes' names of --labels: "a,b,c", or a file with one a line.

    Raises:
        InputError: The file is no text.
    """
    from .errors import InputError

    if not given:
        return ()
    path = Path(given)
    if not path.is_file():
        return tuple(name.strip() for name in given.split(","))
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no text with a label a line: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _show(found: Evaluation, html: Path | None, as_json: bool) -> None:
    if as_json:
        from .report.evaluation import to_json

        click.echo(to_json(found), nl=False)
        return
    from .report.evaluation_table import print_evaluation
    from .report.terminal import console

    print_evaluation(found, console())
    if html:
        click.echo(f"\nwrote {html}")


def _judge(found: Evaluation) -> None:
    """Ends in an error where a device did not compute what its model computes."""
    from .errors import RequestError

    for model in found.models:
        run = model.device
        if run and run.equal != run.inferences:
            raise RequestError(
                f"{model.name} differs from its model on {run.board} in "
                f"{run.inferences - run.equal} of {run.inferences} inferences",
                f"tinydeploy verify {model.path} --board {run.board} --layers",
            )
