"""Session-aware recommendation on Spotlight: who is browsing, and how long they looked.

Data goes one way through the rooms:

``events``           raw ids and timestamps -> ``EventLog``, cleaned and split
``sessions``         a log -> ``SessionInteractions`` with users and dwell times -> mini-batches
``representations``  a session -> its state after each step: the networks
``memory``           users' histories and transitions between items, as learned terms of the score
``training``         the loss of a mini-batch, the loop, checkpoints; beside it ``losses`` and ``sampling``
``recommending``     scores, lists, live sessions, vectors, exported graphs
``model``            ``ASARSSequenceModel``: options, fitting, files

On top of them stand ``evaluation``, ``search``, ``baselines`` and ``cli``; ``datasets``, ``preparation`` and
``analysis`` go with events; ``runtime`` is the machine below. ``_spotlight`` chooses the Spotlight underneath: the one
that is installed, or the built-in ``_core``.
"""

from spotlight_asars._spotlight import SPOTLIGHT, install_as_spotlight
from spotlight_asars.events import EventLog, ItemFeatures
from spotlight_asars.model import ASARSSequenceModel
from spotlight_asars.sessions import to_sessions
from spotlight_asars.sessions.interactions import SessionInteractions

__all__ = [
    "SPOTLIGHT",
    "ASARSSequenceModel",
    "EventLog",
    "ItemFeatures",
    "SessionInteractions",
    "install_as_spotlight",
    "to_sessions",
]
