"""Logs larger than memory: the way from events to sessions as queries, on the engine that holds the log.

=================  ===============================================================================
``steps``          sessions, dwell, collapsed repeats and support, written once for every engine
``engines``        what pandas, polars, pyarrow, DuckDB and PySpark each need
``lazy_log``       ``LazyLog``: the steps of an ``EventLog``, put off until ``write_sessions``
``checks``         what is refused at the door
``writing``        ranges of users -> the fixed point of support -> shards
``shard_writer``   events of whole users -> a file of sessions
``manifest``       what a folder of sessions must hold
``shards``         ``SessionShards`` and ``read_sessions``: what was written, a shard at a time or at once
=================  ===============================================================================

A log that fits into memory is prepared faster by ``EventLog``, with the same sessions, dwell and ids.
"""

from spotlight_asars.preparation.lazy_log import LazyLog
from spotlight_asars.preparation.shards import SessionShards, read_sessions

__all__ = ["LazyLog", "SessionShards", "read_sessions"]
