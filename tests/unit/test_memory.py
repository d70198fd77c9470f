"""Placement: nothing alive overlaps, and the result is near the largest live set."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.generated import separable
from tinydeploy.plan.memory import lower_bound, place
from tinydeploy.plan.moves import Placed, place_moving
from tinydeploy.plan.plan import Isa, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.plan.search import ALIGNMENT, Buffer, Problem
from tinydeploy.tflite.reader import loads

buffers = st.lists(
    st.tuples(st.integers(1, 5000), st.integers(-1, 30), st.integers(0, 8)).map(
        lambda t: Buffer(t[0], t[1], t[1] + t[2])
    ),
    max_size=40,
)


def trailing(items: list[Buffer], distances: list[int]) -> dict[tuple[int, int], int]:
    """As many pairs of an input and the output that follows it as there are distances."""
    pairs = [
        (i, j)
        for i, a in enumerate(items)
        for j, b in enumerate(items)
        if i != j and a.last == b.first and a.first < b.first and b.first < b.last
    ]
    return dict(zip(pairs, distances, strict=False))


def peak(items: list[Buffer], offsets: tuple[int, ...]) -> int:
    return max((o + b.size for o, b in zip(offsets, items, strict=True)), default=0)


@given(buffers)
@settings(max_examples=200, deadline=None)
def test_living_buffers_never_overlap(items: list[Buffer]) -> None:
    offsets = place(Problem(items))
    for i, a in enumerate(items):
        assert offsets[i] % ALIGNMENT == 0
        assert offsets[i] >= 0
        for j, b in enumerate(items[:i]):
            if a.overlaps(b):
                assert offsets[i] >= offsets[j] + b.bytes or offsets[j] >= offsets[i] + a.bytes
    assert peak(items, offsets) >= lower_bound(Problem(items))


@given(buffers, st.lists(st.integers(0, 6000), max_size=8))
@settings(max_examples=200, deadline=None)
def test_outputs_lie_over_inputs_from_their_distance_on(
    items: list[Buffer], distances: list[int]
) -> None:
    trails = trailing(items, distances)
    offsets = place(Problem(items, trails))
    for i, a in enumerate(items):
        for j, b in enumerate(items):
            if i == j or not a.overlaps(b) or (j, i) in trails:  # seen as (i, j)
                continue
            apart = offsets[i] >= offsets[j] + b.bytes or offsets[j] >= offsets[i] + a.bytes
            assert apart or offsets[i] - offsets[j] >= trails.get((i, j), 10**9)
    assert peak(items, offsets) >= lower_bound(Problem(items, trails))


@given(buffers, st.lists(st.integers(0, 6000), max_size=8), st.integers(0, 50_000))
@settings(max_examples=200, deadline=None)
def test_moves_destroy_nothing(items: list[Buffer], distances: list[int], budget: int) -> None:
    by_call = {items[j].first: (i, j) for i, j in trailing(items, distances)}  # one a call
    trails = dict(zip(by_call.values(), distances, strict=False))
    placed = place_moving(Problem(items, trails), budget, 32)
    assert sum(items[i].size for i in placed.moved) <= budget
    for call in sorted({b.first for b in items} | {b.last for b in items}):
        alive = [i for i, b in enumerate(items) if b.first <= call <= b.last]
        at = {i: _place_during(items, placed, i, call) for i in alive}
        for i in alive:
            if at[i] != placed.offsets[i]:
                assert at[i] > placed.offsets[i]
                # Where it is moved to lies nothing that was there before, but itself.
                before = [j for j in alive if j != i and items[j].first < call]
                assert all(_disjoint(items, (i, at[i]), (j, placed.offsets[j])) for j in before)
            for j in alive:
                if i != j and (j, i) not in trails and not _disjoint(items, (i, at[i]), (j, at[j])):
                    assert at[i] - at[j] >= trails.get((i, j), 10**9)


def _place_during(items: list[Buffer], placed: Placed, i: int, call: int) -> int:
    here = placed.offsets[i]
    return placed.moved.get(i, here) if call == items[i].last else here


def _disjoint(items: list[Buffer], a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[1] >= b[1] + items[b[0]].bytes or b[1] >= a[1] + items[a[0]].bytes


def test_a_deep_chain_moves_its_inputs_up() -> None:
    chain = [Buffer(8000, i - 1, i) for i in range(101)]
    problem = Problem(chain, {(i, i + 1): 448 if i % 2 else 0 for i in range(100)})
    still, moving = (place_moving(problem, budget, 8) for budget in (0, 200_000))
    assert not still.moved
    assert peak(chain, still.offsets) > 15_000
    assert 1 < len(moving.moved) <= 25
    ends = [offset + 8000 for offset in (*moving.offsets, *moving.moved.values())]
    assert max(ends) < 10_000


def test_an_arena_just_above_the_bound_is_planned() -> None:
    graph = loads(separable(16, 16, 16), "deep")
    plan = make_plan(graph, Target((Isa.MVE, Isa.DSP, Isa.SCALAR)))
    assert plan.arena_bytes < 1.2 * plan.lower_bound_bytes


def test_buffers_stand_at_multiples_of_what_they_ask() -> None:
    chain = [Buffer(960, i - 1, i, align=24) for i in range(6)]
    problem = Problem(chain, {(i, i + 1): 20 for i in range(5)})
    offsets = place(problem)
    assert not any(offset % 24 for offset in offsets)
    assert peak(chain, offsets) == 960 + 5 * 24


def test_a_thousand_layers_are_planned_in_seconds() -> None:
    graph = loads(separable(8, 16, 1000), "deep")
    started = time.process_time()
    plan = make_plan(graph, Target((Isa.SCALAR,)))
    assert time.process_time() - started < 10
    assert plan.arena_bytes < 1.3 * plan.lower_bound_bytes


def test_a_chain_that_trails_needs_little_more_than_one() -> None:
    chain = [Buffer(8000, i - 1, i) for i in range(9)]
    distances = {(i, i + 1): 448 if i % 2 else 0 for i in range(8)}
    assert lower_bound(Problem(chain, distances)) == 8448
    assert peak(chain, place(Problem(chain, distances))) == 8000 + 4 * 448


def test_a_chain_reaches_the_lower_bound() -> None:
    sizes = [27648, 18432, 18432, 36864, 9216, 18432, 4608, 9216, 256, 2]
    chain = [Buffer(size, i - 1, i) for i, size in enumerate(sizes)]
    assert peak(chain, place(Problem(chain))) == lower_bound(Problem(chain)) == 36864 + 18432


def test_a_residual_keeps_its_shortcut() -> None:
    shortcut = Buffer(4096, 0, 3)
    block = [Buffer(2048, 1, 2), Buffer(4096, 2, 3), Buffer(4096, 3, 4)]
    items = [shortcut, *block]
    assert peak(items, place(Problem(items))) == lower_bound(Problem(items)) == 3 * 4096


def test_no_buffers_need_no_arena() -> None:
    assert place(Problem([])) == ()
    assert lower_bound(Problem([])) == 0


def test_two_hundred_layers_are_placed_at_once() -> None:
    chain = [Buffer(1000 + 37 * (i % 11), i - 1, i) for i in range(400)]
    assert peak(chain, place(Problem(chain))) == lower_bound(Problem(chain))
