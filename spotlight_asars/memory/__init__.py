"""What the model remembers beside the net's weights: each user's history, which items followed each item, and sessions.

A memory finds, for the states of a batch, a few items and how strong each is (``user_history``, ``item_transitions``,
``neighbour_sessions``). Its terms weigh them (``history_terms``, ``transition_terms``, ``neighbour_terms``), and a
``RecallNet`` adds these to the scores of any net (``score_terms``, ``table_terms``). Tables are counted with scipy
(``pair_counts``, ``own_counts``, ``sparse_rows``) and looked up as tensors (``ragged_rows``, ``latest_events``). To add
a memory, write both, with a line in ``with_recall`` and a channel that finds it.
"""

from spotlight_asars.memory.history_terms import HistoryTerms
from spotlight_asars.memory.item_transitions import Transitions
from spotlight_asars.memory.recall_net import RecalledStates, RecallNet, with_recall
from spotlight_asars.memory.transition_terms import TransitionTerms
from spotlight_asars.memory.user_history import Memory

__all__ = ["HistoryTerms", "Memory", "RecallNet", "RecalledStates", "TransitionTerms", "Transitions", "with_recall"]
