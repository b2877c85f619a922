"""Rules of two items, "after this item comes that one": scores that depend on the last item of a session alone.

A rule-based baseline counts one sparse matrix, (last item, next item); ``scores`` takes the rows of the last items.
"""
