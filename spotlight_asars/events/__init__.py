"""Who did what when: raw ids and timestamps become an ``EventLog``, which is cleaned, split and encoded here."""

from spotlight_asars.events.event_log import HOUR, Dropped, EventLog
from spotlight_asars.events.vocabulary import Vocabulary

__all__ = ["HOUR", "Dropped", "EventLog", "Vocabulary"]
