"""What a net does not see in a training pass, so that it learns what to make of what is unknown."""

from __future__ import annotations

import torch
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import UNKNOWN_USER


def hide_labels(channels: Channels, kind_share: float, context_share: float) -> Channels:
    """Forget the kinds of one share of the rows, and the context of another."""
    kinds, context = channels.kinds, channels.context
    if kinds is not None and kind_share > 0:
        kinds = kinds.masked_fill(torch.rand(len(kinds), 1, device=kinds.device) < kind_share, UNKNOWN)
    if context is not None and context_share > 0:
        context = context.masked_fill(torch.rand(len(context), 1, device=context.device) < context_share, UNKNOWN)
    return channels._replace(kinds=kinds, context=context)


def hide_events(items: Tensor, share: float) -> Tensor:
    """Padding in the place of this share of the events: the session as if they had not been seen."""
    if share == 0:
        return items
    return items.masked_fill(torch.rand(items.shape, device=items.device) < share, PADDING_IDX)


def hide_channels(channels: Channels, user_share: float, dwell_share: float) -> Channels:
    """Forget the users of one share of the rows, and the dwell times of another.

    So what stands for an unknown user and for unknown dwell is trained, too.
    """
    users, dwell = channels.user_ids, channels.dwell_times
    if users is not None and user_share > 0:
        users = users.masked_fill(torch.rand(users.shape, device=users.device) < user_share, UNKNOWN_USER)
    if dwell is not None and dwell_share > 0:
        dwell = dwell.masked_fill(torch.rand(len(dwell), 1, device=dwell.device) < dwell_share, torch.nan)
    return channels._replace(user_ids=users, dwell_times=dwell)
