"""Channels of a batch are cut together."""

from __future__ import annotations

import torch

from spotlight_asars.sessions.channels import Channels


def test_channels_of_rows_and_steps_are_cut_alike():
    channels = Channels(torch.tensor([4, 5, 6]), torch.arange(6.0).reshape(3, 2), torch.tensor([7.0, 8.0, 9.0]))
    assert channels.rows(slice(1, 3)).user_ids.tolist() == [5, 6]
    assert channels.rows(slice(1, 3)).started.tolist() == [8, 9]
    assert channels.steps(slice(-1)).started.tolist() == [7, 8, 9]
    assert channels.rows(slice(1, 3)).dwell_times.tolist() == [[2, 3], [4, 5]]
    assert channels.steps(slice(-1)).user_ids.tolist() == [4, 5, 6]
    assert channels.steps(slice(-1)).dwell_times.tolist() == [[0], [2], [4]]
    for nothing in (Channels().rows(slice(1)), Channels().steps(slice(1))):
        assert nothing == Channels()
