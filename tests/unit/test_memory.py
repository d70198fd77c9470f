"""Placement: nothing alive overlaps, and the result is near the largest live set."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tinydeploy.plan.memory import lower_bound, place
from tinydeploy.plan.search import ALIGNMENT, Buffer, Problem

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
