"""Session neighbours: baselines that recommend what similar training sessions viewed.

The way of a query through the files:

1. ``session_aware``: the events of each prefix, after earlier ones of its user where the prefix is short;
2. ``session_knn``: these events, weighted; all steps below run on chunks of prefixes of bounded memory;
3. ``session_index``: the most recent training sessions that share an item with each prefix, by a sparse product;
4. ``nearest``: the k most similar of them;
5. ``matching``: where prefix and neighbour meet, by which ``vsknn``, ``stan`` and ``vstan`` weigh the items;
6. ``repeats``, in the folder above: items that cannot come again are excluded;
7. ``session_aware``: items of the user's earlier sessions, from ``user_histories``, are added.

Steps 1 and 7 are off unless asked for, as in ``settings``. ``item_knn`` compares items by the sessions they are in, and
otherwise works like ``rules``.
"""
