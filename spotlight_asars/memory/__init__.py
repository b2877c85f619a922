"""What is remembered beside the net's weights: each user's history, and what followed each item in all sessions."""

import torch
from torch import nn

from spotlight_asars.memory.history_terms import HistoryTerms
from spotlight_asars.memory.item_transitions import Transitions
from spotlight_asars.memory.recall_net import RecallNet
from spotlight_asars.memory.transition_terms import TransitionTerms
from spotlight_asars.memory.user_history import Memory

__all__ = ["HistoryTerms", "Memory", "RecallNet", "TransitionTerms", "Transitions", "with_recall"]


def with_recall(net: nn.Module, history: bool, transitions: bool) -> nn.Module:
    """`net`, whose scores have the terms of what the user viewed and of what followed in other sessions, or not."""
    with torch.no_grad():
        state_size = net.states(torch.ones(1, 1, dtype=torch.int64))[0, 0].numel()  # type: ignore[operator]
    terms = [HistoryTerms(state_size)] * history + [TransitionTerms(state_size)] * transitions
    return RecallNet(net, *terms) if terms else net
