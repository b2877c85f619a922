"""Session neighbours that use the earlier sessions of returning users, as settings of the classes.

=============  ==========================================
``vsknn_ebr``  ``VSKNN``: extend, boost, remind
``stan_er``    ``STAN``: extend, remind
``vstan_ebr``  ``VSTAN``: extend, boost, remind
=============  ==========================================

What is extended, boosted and reminded stands in ``session_aware``; the names are those of Latifi, Mauro and Jannach
(2021). On logs whose users hardly ever return to an item, reminders and extensions do harm, and boosts do nothing.
``UserVSKNN`` is the former name of ``vsknn_ebr``.
"""

from __future__ import annotations

from functools import partial

from spotlight_asars.baselines.neighbours.stan import STAN
from spotlight_asars.baselines.neighbours.vsknn import VSKNN
from spotlight_asars.baselines.neighbours.vstan import VSTAN

vsknn_ebr = partial(VSKNN, extend_session_length=3, boost_own_sessions=0.5, reminders=0.2)
stan_er = partial(STAN, extend_session_length=3, reminders=0.2)
vstan_ebr = partial(VSTAN, extend_session_length=3, boost_own_sessions=0.5, reminders=0.2)
UserVSKNN = vsknn_ebr
