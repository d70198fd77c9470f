"""What the tests of the kernels share; see README.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CASES = int(os.environ.get("TINYDEPLOY_CASES", "24"))
SEED = int(os.environ.get("TINYDEPLOY_SEED", "0"))


def objects_folder(config: pytest.Config) -> Path:
    """Where compiled kernels are kept between runs."""
    assert config.cache is not None
    return Path(config.cache.mkdir("kernels"))
