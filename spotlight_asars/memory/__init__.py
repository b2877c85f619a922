"""What the model remembers beside the net's weights: each user's history, and which items followed each item."""

from spotlight_asars.memory.history_terms import HistoryTerms
from spotlight_asars.memory.item_transitions import Transitions
from spotlight_asars.memory.recall_net import RecalledStates, RecallNet, with_recall
from spotlight_asars.memory.transition_terms import TransitionTerms
from spotlight_asars.memory.user_history import Memory

__all__ = ["HistoryTerms", "Memory", "RecallNet", "RecalledStates", "TransitionTerms", "Transitions", "with_recall"]
