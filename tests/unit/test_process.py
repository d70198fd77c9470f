"""Programs end when their time is up, with all their children, and leave what they printed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tinydeploy import process
from tinydeploy.errors import RequestError


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A zombie that nobody reaps (in a container without init) is as good as gone.
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def _wait_until_gone(pid: int) -> bool:
    limit = time.monotonic() + 5
    while _alive(pid) and time.monotonic() < limit:
        time.sleep(0.01)
    return not _alive(pid)


def test_a_result_has_all_that_the_program_left() -> None:
    code = "import sys; print('ü out'); print('err', file=sys.stderr); sys.exit(3)"
    result = process.run(_python(code), timeout_s=20, env={"PYTHONIOENCODING": "utf-8"})
    assert (result.returncode, result.stdout, result.stderr) == (3, "ü out\n", "err\n")
    assert 0 < result.duration_s < 20


def test_arguments_are_passed_as_they_are() -> None:
    arguments = ["a b", "$HOME", "`x`", "'\"", "ünï", "*", ""]
    code = "import sys; print(sys.argv[1:])"
    assert process.run(_python(code, *arguments), timeout_s=20).stdout == f"{arguments}\n"


def test_more_output_than_a_pipe_holds() -> None:
    code = "import sys; sys.stdout.write('x' * 1_000_000); sys.stderr.write('y' * 1_000_000)"
    result = process.run(_python(code), timeout_s=20)
    assert len(result.stdout) == len(result.stderr) == 1_000_000


def test_bytes_that_are_not_utf_8() -> None:
    code = "import sys; sys.stdout.buffer.write(b'a\\xffb')"
    assert process.run(_python(code), timeout_s=20).stdout == "a\ufffdb"


def test_lines_come_as_they_are_printed() -> None:
    lines: list[tuple[str, float]] = []
    code = "import time; print('one', flush=True); time.sleep(0.5); print('two')"
    process.run(
        _python(code), timeout_s=20, on_line=lambda line: lines.append((line, time.monotonic()))
    )
    assert [line for line, _ in lines] == ["one", "two"]
    assert lines[1][1] - lines[0][1] > 0.3


def test_the_time_limit_ends_children_too() -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    pids: list[int] = []
    start = time.monotonic()
    with pytest.raises(RequestError, match="did not end within 1 s"):
        process.run(_python(code), timeout_s=1, on_line=lambda line: pids.append(int(line)))
    assert time.monotonic() - start < 10
    assert len(pids) == 1
    assert _wait_until_gone(pids[0])


def test_a_program_that_ignores_the_request_to_end() -> None:
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    start = time.monotonic()
    with process.started(_python(code)) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
    assert program.returncode == -signal.SIGKILL
    assert time.monotonic() - start < 10


def test_a_daemon_that_keeps_the_pipes_does_not_hang_us() -> None:
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(8)'], "
        "start_new_session=True)\n"
        "print('done', flush=True)\n"
    )
    start = time.monotonic()
    result = process.run(_python(code), timeout_s=20)
    assert (result.returncode, result.stdout) == (0, "done\n")
    assert time.monotonic() - start < 7


def test_ctrl_c_ends_the_program() -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        os.kill(os.getpid(), signal.SIGINT)

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        process.run(_python(code), timeout_s=20, on_line=interrupt)
    assert _wait_until_gone(pids[0])


@pytest.mark.parametrize("program", ["tinydeploy-no-such-program", "/dev/null", "a\0b"])
def test_what_cannot_be_started(program: str) -> None:
    with pytest.raises(RequestError, match="cannot start"):
        process.run([program], timeout_s=5)
