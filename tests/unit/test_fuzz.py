"""A few hundred of the mutants of `benchmarks/fuzz.py`: none ends in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fuzz, mutate


def failures(corpus: fuzz.Corpus, mutants: int) -> list[fuzz.Result]:
    results = [fuzz.examine(corpus, number) for number in range(mutants)]
    assert any(r.what == fuzz.REFUSED for r in results)
    assert any(r.what == fuzz.ACCEPTED for r in results)
    return [r for r in results if r.what not in (fuzz.ACCEPTED, fuzz.REFUSED)]


def test_mutants_of_written_networks() -> None:
    assert failures(fuzz.Corpus(mutate.networks(), seed=7), 400) == []


def test_mutants_of_real_models(models: Path) -> None:
    small = {n: c for n, c in mutate.real_models(models).items() if len(c) < 100_000}
    assert failures(fuzz.Corpus(small, seed=7), 200) == []


def test_mutants_are_the_same_every_time() -> None:
    corpus = fuzz.Corpus(mutate.networks(), seed=3)
    assert [corpus.mutant(n) for n in range(50)] == [corpus.mutant(n) for n in range(50)]


def test_a_traceback_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(content: bytes) -> None:
        raise IndexError(len(content))

    monkeypatch.setattr(fuzz, "front_half", broken)
    result = fuzz.examine(fuzz.Corpus(mutate.networks()), 0)
    assert result.what == fuzz.TRACEBACK
    assert "IndexError" in result.detail


def test_a_hang_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(content: bytes) -> None:
        while content:
            pass

    monkeypatch.setattr(fuzz, "front_half", endless)
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    assert fuzz.examine(fuzz.Corpus(mutate.networks()), 0).what == fuzz.TIMEOUT
