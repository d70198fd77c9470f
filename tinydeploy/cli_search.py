"""`tinydeploy search` and `tinydeploy sensitivity`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import RequestError

if TYPE_CHECKING:
    from .quantize.search import Executor, SearchRequest
    from .report.search import Search

_FILE = click.Path(path_type=Path)
_CHEAPEST = {"instructions": "instructions", "ram": "ram_bytes", "flash": "flash_bytes"}
_data = click.option("--data", required=True, metavar="DATA",
                     help="Calibration samples: a .npz, .npy or .csv file, a folder of images or "
                          "wav files, or file.py:function.")  # fmt: skip
_transform = click.option(
    "--transform",
    default="",
    metavar="STEPS",
    help="What each sample goes through: resize=96x96,gray,scale=1/255.",
)
_objects = click.option("--custom-objects", metavar="FILE.py:FUNCTION",
                        help="A Keras model's own classes.")  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command(short_help="Find the cheapest quantisation whose accuracy holds.")
@click.argument("model", type=_FILE)
@_data
@click.option("--eval", "evaluation", required=True, metavar="DATA",
              help="Samples to judge by; labels are used.")  # fmt: skip
@click.option("--board", required=True, metavar="NAME", help="Whose costs count.")
@click.option("--max-drop", default="1%", show_default=True, metavar="SHARE",
              help="What the metric may lose against the float model.")  # fmt: skip
@click.option("-o", "--out", type=_FILE, metavar="OUT.tflite", help="Default: MODEL_best.tflite.")
@click.option("--work", type=_FILE, metavar="DIR",
              help="Trials and reports; default: build/search-MODEL-BOARD.")  # fmt: skip
@click.option("--metric", metavar="NAME",
              help="accuracy, top-K, f1, auc, mse, mae or agreement.")  # fmt: skip
@click.option("--cheapest", type=click.Choice(list(_CHEAPEST)), default="instructions",
              show_default=True, help="What the choice goes by first.")  # fmt: skip
@click.option("--repair", "repairs", default="all", show_default=True, metavar="NAMES",
              help="To try: fold-bn, equalise, clip, bias-correction; or none.")  # fmt: skip
@_transform
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Calibrate on N of them.")
@click.option("--eval-samples", "most", type=click.IntRange(1), default=500, show_default=True,
              metavar="N", help="Judge by at most N, spread over the set.")  # fmt: skip
@click.option("--trials", type=click.IntRange(1), default=48, show_default=True, metavar="N")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; as many as cores.")
@click.option("--scheduler", metavar="ADDRESS",
              help="Run trials on a Dask cluster: tcp://HOST:PORT.")  # fmt: skip
@click.option("--png", type=_FILE, metavar="FILE", help="Also draw a PNG; needs matplotlib.")
@_objects
@click.option("--boards", "folders", type=_FILE, multiple=True, metavar="DIR",
              help="A folder of your boards.")  # fmt: skip
@_json
def search(as_json: bool, jobs: int | None, scheduler: str | None, **options: Any) -> None:
    """Find the cheapest way to quantise MODEL whose accuracy holds on a board.

    Tries calibrations, repairs and int16 activations, each judged by what the board would compute
    and by what it costs there. Interrupted, it goes on where it was when it is started again.
    """
    from .quantize import search as searching
    from .report.progress import Progress

    png, out, work = options.pop("png"), options.pop("out"), options.pop("work")
    model, board = options["model"], options["board"]
    folder = (work or Path("build") / f"search-{model.stem}-{board}").resolve()
    request = _request(folder, **options)
    _check_picture(png)
    executor: Executor = (
        searching.Cluster(scheduler) if scheduler else searching.Local(jobs or os.cpu_count() or 1)
    )
    with Progress(silent=as_json) as status:
        found, content = searching.search(
            request, executor, lambda what, done, of: status.line(f"{what}: trial {done} of {of}")
        )
    out = out or model.with_name(f"{model.stem}_best.tflite")
    written = _write(found, content, folder, out, png)
    _show(found, written, out, as_json)
    if found.chosen is None:
        raise RequestError(
            f"nothing holds the {found.metric} of {model.name} within {options['max_drop']}",
            "quantisation-aware training may: tinydeploy compress --help",
        )


def _request(
    folder: Path,
    *,
    model: Path,
    data: str,
    evaluation: str,
    max_drop: str,
    cheapest: str,
    custom_objects: str | None,
    repairs: str,
    folders: tuple[Path, ...],
    **options: Any,
) -> SearchRequest:
    from . import boards, paths
    from .quantize import repair
    from .quantize.search import SearchRequest, parse_drop
    from .quantize.sources import float_tflite

    drop = parse_drop(max_drop)
    boards.load(options["board"], folders)
    return SearchRequest(
        model=float_tflite(model, custom_objects),
        name=model.name,
        data=_absolute(data),
        evaluation=_absolute(evaluation),
        folder=folder,
        max_drop=drop,
        cheapest=_CHEAPEST[cheapest],
        repairs=() if repairs == "none" else repair.parse(repairs),
        board_folders=tuple(folder.resolve() for folder in folders),
        cache=paths.cache() / "search",
        **options,
    )


def _absolute(spec: str) -> str:
    """Data as a trial in another folder finds them."""
    path, colon, function = spec.rpartition(":")
    if colon and path.endswith(".py") and not Path(spec).exists():
        return f"{Path(path).resolve()}:{function}"
    return str(Path(spec).resolve())


def _check_picture(png: Path | None) -> None:
    """Before an hour of trials, not after."""
    from .report.pareto import check_matplotlib

    if png:
        check_matplotlib()


def _write(found: Search, content: bytes, folder: Path, out: Path, png: Path | None) -> list[Path]:
    from .files import write_whole
    from .report import html, pareto
    from .report.search import to_json

    files: list[tuple[Path, str | bytes]] = [
        (out, content),
        (folder / "search.json", to_json(found)),
        (folder / "search.html", html.search_page(
            found.model, f"on {found.board}", pareto.points(found), found.reason)),
    ]  # fmt: skip
    if picture := pareto.svg(found):
        files.append((folder / "pareto.svg", picture))
    for path, text in files:
        write_whole(path, text)
    if png:
        pareto.write_png(found, png)
    return [*(path for path, _ in files), *([png] if png else [])]


def _show(found: Search, written: list[Path], out: Path, as_json: bool) -> None:
    if as_json:
        from .report.search import to_json

        click.echo(to_json(found), nl=False)
        return
    from .report.search_table import print_search
    from .report.terminal import console

    print_search(found, console())
    click.echo(f"\nwrote {', '.join(os.path.relpath(path) for path in written)}")
    if found.chosen is not None:
        shown = shlex.quote(os.path.relpath(out))
        click.echo(f"next: tinydeploy verify {shown} --board {found.board}")


@click.command()
@click.argument("model", type=_FILE)
@_data
@click.option("--eval", "evaluation", metavar="DATA", help="Samples to judge by; as --data.")
@click.option("--calibration", default="minmax", show_default=True, metavar="METHOD")
@click.option("--scheme", type=click.Choice(("int8", "int16x8")), default="int8", show_default=True)
@click.option("--samples", type=click.IntRange(1), default=100, show_default=True, metavar="N",
              help="Judge by at most N, spread over the set.")  # fmt: skip
@_transform
@_objects
@_json
def sensitivity(
    model: Path,
    data: str,
    evaluation: str | None,
    calibration: str,
    scheme: str,
    samples: int,
    transform: str,
    custom_objects: str | None,
    as_json: bool,
) -> None:
    """Show which layers of MODEL quantisation hurts, and how.

    "alone" is the error of a model in which only that layer is quantised, "all but" of one in
    which only it is not. The other columns look inside the model that is quantised as a whole.
    """
    from .quantize.calibrate import observe
    from .quantize.compare import yardstick
    from .quantize.data import load, subset
    from .quantize.floatmodel import prepare
    from .quantize.schemes import Scheme
    from .quantize.sensitivity import analyse, to_dict
    from .quantize.sources import float_tflite
    from .report.progress import Progress
    from .report.search_table import print_analysis
    from .report.terminal import console

    source = prepare(float_tflite(model, custom_objects), model.name)
    dataset = load(data, transform=transform)
    judged = load(evaluation, transform=transform) if evaluation else dataset
    kind = Scheme(scheme)  # type: ignore[arg-type]
    ranges = observe(source, dataset).ranges(calibration, kind.bits)
    with Progress(silent=as_json) as status:
        found = analyse(
            source,
            ranges,
            yardstick(source, subset(judged, samples)),
            kind,
            progress=lambda done, of: status.line(f"model {done} of {of}"),
        )
    if as_json:
        import json

        click.echo(json.dumps(to_dict(found), indent=2, allow_nan=False))
        return
    print_analysis(found, console())
