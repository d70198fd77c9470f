"""The pytest plugin: a fixture `device` that is a board, emulated or real.

    pytest --tinydeploy-model kws_int8.tflite --tinydeploy-board nucleo_l4r5zi

    def test_yes(device):
        assert device.run(recording).argmax() == YES

The whole session shares one device a model and board. Every pytest run of a project that has
tinydeploy installed loads this file: what takes time is imported in the fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .runners.base import Runner
    from .testing import Device

_MARK = "tinydeploy"
_NAMES = ("model", "board")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tinydeploy", "boards for the fixture device")
    add = group.addoption
    add("--tinydeploy-model", metavar="FILE", help="The .tflite file that device runs.")
    add("--tinydeploy-board", metavar="NAME", action="append", default=[],
        help="The board to run on; given twice, every test runs on both.")  # fmt: skip
    add("--tinydeploy-on", metavar="RUNNER", help="unicorn, qemu, host or serial.")
    add("--tinydeploy-port", metavar="PORT", help="Of serial; auto if not given.")
    parser.addini("tinydeploy_model", "The .tflite file that device runs.", "string")
    parser.addini("tinydeploy_board", "The boards to run on.", "args")
    parser.addini("tinydeploy_boards", "Folders of your own boards.", "paths")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "tinydeploy(model=FILE, board=NAME): what the fixture device is in this test"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses `device` runs once a board, where there are several."""
    if "device" not in metafunc.fixturenames:
        return
    boards = _boards(metafunc.config, metafunc.definition)
    if len(boards) > 1:
        metafunc.parametrize("device", boards, indirect=True)


@pytest.fixture(scope="session")
def _tinydeploy_devices(
    pytestconfig: pytest.Config,
) -> Iterator[Callable[[Path, str | None], Device]]:
    """Devices by model and board, each started once."""
    from . import settings
    from .build import BuildRequest
    from .testing import opened

    # pytest's rootpath is where the model lies, when its option names one elsewhere.
    here = pytestconfig.invocation_params.dir
    found = settings.find(here)
    folders = (*pytestconfig.getini("tinydeploy_boards"), *found.boards)
    devices: dict[tuple[Path, str], Device] = {}
    with ExitStack() as stack:

        def get(model: Path, board: str | None) -> Device:
            name = board or found.board
            runner = _runner(pytestconfig)
            if runner == "host":
                name = "host"
            if not name:
                pytest.fail("device needs a board: --tinydeploy-board nucleo_l4r5zi", False)
            if (model, name) not in devices:
                request = BuildRequest(
                    model=model,
                    board=name,
                    engine=found.engine or "aot",
                    toolchain=found.toolchain or "auto",
                    optimize=found.opt or "speed",
                    out=here / "build" / f"{model.stem}-{name}",
                    board_folders=folders,
                    cache=found.cache,
                )
                devices[model, name] = stack.enter_context(opened(request, runner))
            return devices[model, name]

        yield get


@pytest.fixture
def device(
    request: pytest.FixtureRequest,
    _tinydeploy_devices: Callable[[Path, str | None], Device],
) -> Device:
    """A board that runs the model: `device.run(array)` gives what the board answers."""
    from .errors import TinydeployError

    model = _model(request)
    board = next(iter(_boards(request.config, request.node)), None)
    try:
        return _tinydeploy_devices(model, getattr(request, "param", board))
    except TinydeployError as error:
        told = f"{error.message}\nhint: {error.hint}" if error.hint else error.message
    pytest.fail(told, pytrace=False)  # out here: pytest would show the error as well


def _boards(config: pytest.Config, item: pytest.Item) -> list[str]:
    """The boards of a test: its mark's, the command line's, or the ini file's."""
    mark = item.get_closest_marker(_MARK)
    if mark is not None:
        for name in (*mark.args, *mark.kwargs):
            if name not in _NAMES or mark.args:
                raise pytest.UsageError(f"mark tinydeploy takes model= and board=, not {name!r}")
        if "board" in mark.kwargs:
            return [str(mark.kwargs["board"])]
    return list(config.getoption("--tinydeploy-board") or config.getini("tinydeploy_board"))


def _model(request: pytest.FixtureRequest) -> Path:
    """The model of a test: its mark's, the command line's, or the ini file's."""
    config = request.config
    mark = request.node.get_closest_marker(_MARK)
    if mark is not None and "model" in mark.kwargs:
        return config.rootpath / str(mark.kwargs["model"])
    if given := config.getoption("--tinydeploy-model"):
        return config.invocation_params.dir / str(given)
    if named := config.getini("tinydeploy_model"):
        return config.rootpath / str(named)
    pytest.fail("device needs a model: --tinydeploy-model FILE.tflite", pytrace=False)


def _runner(config: pytest.Config) -> str | Runner | None:
    name: Any = config.getoption("--tinydeploy-on")
    port: Any = config.getoption("--tinydeploy-port")
    if name not in (None, "serial") or not port:
        return name or None
    from .runners.serial import SerialRunner

    return SerialRunner(port)
