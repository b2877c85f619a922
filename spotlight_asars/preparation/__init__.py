"""Logs larger than memory: events become sessions by queries, on the engine that holds the log.

=================  ===============================================================================
``steps``          sessions, dwell, collapsed repeats and support, written once for every engine
``engines``        what differs between pandas, polars, pyarrow, DuckDB and PySpark
``lazy_log``       ``LazyLog``: the steps of an ``EventLog``, computed by ``write_sessions``
``checks``         the checks of the events
``disk``           errors of a full disk, whichever library has them
``writing``        ranges of users -> support, until no item is lost -> shards
``shard_writer``   events of whole users -> a file of sessions
``manifest``       which files a folder of sessions must hold
``shards``         ``SessionShards`` and ``read_sessions``: a shard at a time, or all at once
=================  ===============================================================================

A log that fits into memory is prepared faster by ``EventLog``, with the same sessions, dwell and ids.
"""

from spotlight_asars.preparation.lazy_log import LazyLog
from spotlight_asars.preparation.shards import SessionShards, read_sessions

__all__ = ["LazyLog", "SessionShards", "read_sessions"]
