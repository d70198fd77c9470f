"""One file an operator: `cases()`, a hypothesis strategy of `Case`s. See ../README.md."""

from __future__ import annotations

import importlib

from hypothesis import strategies as st

from tests.kernels.case import Case


def cases_of(operator: str) -> st.SearchStrategy[Case]:
    """The strategy of the operator's own file, tests/kernels/cases/<operator>.py."""
    module = importlib.import_module(f"{__name__}.{operator.lower()}")
    strategy: st.SearchStrategy[Case] = module.cases()
    return strategy


def always(operator: str) -> tuple[Case, ...]:
    """Cases that are tried whatever is drawn: sizes that a kernel treats each in its own way."""
    module = importlib.import_module(f"{__name__}.{operator.lower()}")
    cases: tuple[Case, ...] = getattr(module, "ALWAYS", ())
    return cases


def beyond_oracle(operator: str) -> tuple[Case, ...]:
    """Cases where TensorFlow Lite Micro aborts, or leaves the answer to the processor."""
    module = importlib.import_module(f"{__name__}.{operator.lower()}")
    cases: tuple[Case, ...] = getattr(module, "BEYOND_ORACLE", ())
    return cases
