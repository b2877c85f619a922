"""Session-aware recommendation on Spotlight: who is browsing, and how long they looked.

The way of the data, and where to find each stage:

=====================  =================================================================================
``events``             raw ids, timestamps and dwell -> ``EventLog`` (``frames`` reads, ``timeline`` knows order)
``raw_ids``            whose vocabulary an id is in
``encoding``           distinct ids and their codes, without sorting a log
``preparation``        the same way for logs larger than memory, on DuckDB, polars or PySpark
``sessions``           any Spotlight ``Interactions`` -> sessions, cut where a user is idle
``channels``           ``SessionInteractions``: items, users and dwell side by side; ``batch_channels``: of a batch
``memory``             what each user viewed in earlier sessions; ``transitions``: what followed each item
``batching``           sessions -> trimmed mini-batches
``representations``    a session's items, user and dwell -> its state: the networks
``losses, sampling``   the target's score against those of other items
``objective``          what one mini-batch teaches
``training``           the loop over epochs, early stopping
``model, options``     ``ASARSSequenceModel``; ``fitting``: fit and update; ``scores``: predict and recommend;
                       ``user_state``: what is kept of users between sessions
``histories``          what ``recommend`` is asked for, raw or not; ``recommendations``: what it answers
``live_session``       a session that goes on event by event
``serving, export``    vectors for an index of neighbours, graphs for other programs
``persistence``        a fitted model <-> one safetensors file
``evaluation``         ranks, and metrics of ranks
``baselines``          models to be measured against: popularity, rules, neighbours, other nets
``search``             grid and random search over the model's options
``analysis, dwell``    what a log looks like before any model; ``plots`` draws it
``datasets``           published logs, and one with planted effects
``cli``                all of it from the command line
=====================  =================================================================================

``_spotlight`` chooses the Spotlight underneath: the one that is installed, or the built-in ``_core``.
"""

from spotlight_asars._spotlight import SPOTLIGHT, install_as_spotlight
from spotlight_asars.events import EventLog
from spotlight_asars.model import ASARSSequenceModel
from spotlight_asars.sessions import to_sessions
from spotlight_asars.sessions.interactions import SessionInteractions

__all__ = [
    "SPOTLIGHT",
    "ASARSSequenceModel",
    "EventLog",
    "SessionInteractions",
    "install_as_spotlight",
    "to_sessions",
]
