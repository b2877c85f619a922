"""Event logs: raw ids and timestamps become an ``EventLog``, which is cleaned, split and encoded here."""

from spotlight_asars.events.event_log import EventLog
from spotlight_asars.events.item_features import ItemFeatures
from spotlight_asars.events.splitting import Dropped
from spotlight_asars.events.timeline import DAY, HOUR
from spotlight_asars.events.vocabulary import Vocabulary

__all__ = ["DAY", "HOUR", "Dropped", "EventLog", "ItemFeatures", "Vocabulary"]
