"""Sessions: cut from a log, stored with their users and dwell times, and handed to nets in mini-batches."""

from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.cutting import to_sessions
from spotlight_asars.sessions.interactions import SessionInteractions

__all__ = ["PADDING_IDX", "Channels", "SequenceInteractions", "SessionInteractions", "to_sessions"]
