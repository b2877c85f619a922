"""Session neighbours: baselines that recommend what similar training sessions viewed.

The way of a query through the files:

1. ``session_knn``: the events of each prefix, weighted; all steps below run on chunks of prefixes of bounded memory;
2. ``session_index``: the most recent training sessions that share an item with each prefix, by a sparse product;
3. ``nearest``: the k most similar of them;
4. ``matching``: where prefix and neighbour meet, by which ``vsknn``, ``stan`` and ``vstan`` weigh the items;
5. ``repeats``, in the folder above: items that cannot come again are excluded.

``user_vsknn`` also looks up the user's earlier sessions, in ``user_histories``. ``item_knn`` compares items by the
sessions they are in, and otherwise works like ``rules``.
"""
