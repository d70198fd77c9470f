"""Packages of C with names of their own."""

from __future__ import annotations

import re

import pytest

from tests.support import REPOSITORY
from tinydeploy.emit import prefix
from tinydeploy.engines.aot import Aot
from tinydeploy.errors import InputError
from tinydeploy.paths import KERNELS
from tinydeploy.plan.plan import Isa, Target
from tinydeploy.tflite.reader import loads

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"


@pytest.mark.parametrize("name", ["kws", "td_kws", "k2", "int", "model_2"])
def test_names_that_a_package_can_have(name: str) -> None:
    assert prefix.checked(name) == name


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("Kws", "kws"),
        ("9x", "td_9x"),
        ("", "unnamed"),
        ("a b;", "a_b"),
        ("x" * 41, "x" * 40),
        ("string", "string_model"),
        ("stdint", "stdint_model"),
        ("test", "test_model"),
        ("kws\n", "kws"),
    ],
)
def test_other_names_are_refused_with_one_that_would_do(name: str, usable: str) -> None:
    with pytest.raises(InputError) as refused:
        prefix.checked(name)
    assert refused.value.hint == f"--name {usable}"
    assert prefix.checked(usable) == usable


@pytest.mark.parametrize("model", ["kws", "string", "é", "", "int x;", "9" * 300, "_", "A" * 41])
def test_every_model_has_a_name(model: str) -> None:
    name = prefix.default(model)
    assert prefix.checked(name) == name
    assert name.startswith("td_")


def test_nothing_keeps_a_name_of_ours() -> None:
    graph = loads(DIGITS.read_bytes(), "td_x_model_y")
    emission = Aot().emit(graph, Target((Isa.DSP, Isa.SCALAR)))
    files = prefix.renamed(emission.files, "kws")
    assert len(files) == len(emission.files)
    assert all(file.startswith("kws_") for file in files)
    for file, text in files.items():
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        assert re.findall(r"\b(?:td|TD)_\w+", code) == [], file
        included = set(re.findall(r'#include "(.*)"', code))
        assert included <= {*files, "kws.h"}, file
    # The model's name is the user's.
    assert "td_x_model_y.tflite" in files["kws_model.c"]
    assert "kws_status kws_run(void)" in files["kws_model.c"]


def test_everything_of_the_kernels_that_others_see_has_our_name() -> None:
    """Else two packages would both define it."""
    for path in sorted(KERNELS.glob("*.[ch]")):
        for name in re.findall(
            r"^(?!static|typedef|extern)\w[\w ]* \*?(\w+)\(", path.read_text(), re.M
        ):
            assert name.startswith("td_"), (path.name, name)


def test_names_are_changed_where_they_are_words() -> None:
    text = '#include "td_model.h"\n#include "td_add.h"\n'
    text += "td_layer a = td_model_layer(TD_OK); run_td_add();"
    files = prefix.renamed({"td_x.c": text}, "kws")
    assert files == {
        "kws_td_x.c": '#include "kws.h"\n#include "kws_td_add.h"\n'
        "kws_layer_info a = kws_layer(KWS_OK); run_td_add();"
    }
