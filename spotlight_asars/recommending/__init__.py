"""What a fitted model answers: scores, lists of items, live sessions, vectors for an index, and exported graphs."""

from spotlight_asars.recommending.recommendations import NEVER, RawRecommendations, Recommendations

__all__ = ["NEVER", "RawRecommendations", "Recommendations"]
