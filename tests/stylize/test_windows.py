"""Windows cover a recording, are of few lengths, and join without a trace."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.stylize.windows import cut, faded

LENGTHS = {"clip": 130, "longest": 517, "overlap": 65}


@settings(max_examples=60, deadline=None)
@given(total=st.integers(5, 20_000), block=st.integers(50, 400))
def test_windows_join_to_what_they_were_cut_from(total: int, block: int) -> None:
    windows = cut(total, **LENGTHS)
    whole = 1 + torch.arange(windows.starts[-1] + windows.frames, dtype=torch.float32)[None]

    def load(number: int) -> torch.Tensor:
        start = windows.starts[number]
        return whole[:, start : start + windows.frames]

    joined = torch.cat(
        [
            faded(windows, load, first, min(first + block, total))
            for first in range(0, total, block)
        ],
        1,
    )
    torch.testing.assert_close(joined, whole[:, :total])
    assert windows.starts[0] == 0
    assert windows.frames < 1.1 * 517
    # A third of the overlap, at every edge within the recording, is heard from elsewhere.
    for before, after in zip(windows.starts, windows.starts[1:], strict=False):
        assert before + windows.frames - after >= 64


def test_lengths_are_few_and_a_clip_is_one_of_them() -> None:
    lengths = {cut(total, **LENGTHS).frames for total in range(20, 40_000, 7)}
    assert len(lengths) < 45
    assert cut(130, **LENGTHS).frames == 130
    for total in range(5, 5000):
        windows = cut(total, **LENGTHS)
        if len(windows.starts) == 1:
            assert total <= windows.frames <= 1.1 * total + 1
