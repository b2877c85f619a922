"""The sessions of a server: rows of a database of SQLite, and live sessions that are made of them.

The rows are what counts: a live session takes in the events that have come since it was last asked, from whichever
process, and is made anew after a restart or with another model. A session that has ended rolls into the model's memory.
That memory grows, by about 48 bytes an event, until there is another model file; all else is bounded.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.events.vocabulary import Vocabulary

Followed = tuple[Any, int, float | None]
LONGEST = 500  # events, after which a new session begins
LIVE = 2000  # sessions that are kept as objects, too
TABLES = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 9000; PRAGMA foreign_keys = 1;
CREATE TABLE IF NOT EXISTS visits (visit INTEGER PRIMARY KEY, name, user, started, seen, events, ended);
CREATE TABLE IF NOT EXISTS events (visit INTEGER REFERENCES visits ON DELETE CASCADE, item, time);
CREATE UNIQUE INDEX IF NOT EXISTS going_on ON visits (name) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS ages ON visits (ended, seen);
CREATE INDEX IF NOT EXISTS places ON events (visit);
"""


class Visits:
    """Sessions that go on, and those that have ended since the model was trained.

    Parameters
    ----------
    path : str
        File of the database; ":memory:" for none. Several processes may share a file.
    idle : float
        Seconds after its last event in which a session ends.
    limit : int
        Sessions that go on at most, the latest ones, and as many that have ended.

    Attributes
    ----------
    going_on, evicted : int
        Sessions that go on, and those that were ended because there were too many.
    """

    def __init__(self, path: str, idle: float, limit: int) -> None:
        self.idle, self.limit, self.going_on, self.evicted = idle, limit, 0, 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(TABLES)

    def use(self, written: float, model: ASARSSequenceModel) -> None:
        """Ask a model from now on, which knows what ended before it was `written` [s]."""
        self._model, self._rolled, self._live = model, 0.0, OrderedDict()  # type: Any, float, OrderedDict[Any, Any]
        self._db.execute("DELETE FROM visits WHERE ended IS NOT NULL AND seen < ?", (written,))
        self.sweep()

    def check(self, user: Any, item: Any) -> None:
        """Raise ``ValueError`` for ids that are not of the model's kind."""
        knows = self._model.item_vocabulary, self._model.user_vocabulary
        for name, value, vocabulary in zip(("item", "user"), (item, user), knows, strict=True):
            kind = str if vocabulary is not None and vocabulary.raw.dtype.kind == "O" else int
            if value is not None and type(value) is not kind and (vocabulary is not None or knows == (None, None)):
                raise ValueError(f"{name} must be {kind.__name__}, as in training; got {value!r}")
        if knows[0] is None and not 1 <= item < self._model.num_items:
            raise ValueError(f"item must lie in 1..{self._model.num_items - 1}; got {item}")
        if knows == (None, None) and user is not None and user < 0:
            raise ValueError(f"user must be 0 or more; got {user}")

    def append(self, name: str, user: Any, item: Any, moment: float) -> None:
        """Add an event; to a new session where the last one was long ago, is long, or was another user's."""
        with self._writing() as now:
            query = "SELECT visit, user, seen, events FROM visits WHERE name = ? AND ended IS NULL"
            visit, owner, seen, events = self._db.execute(query, (name,)).fetchone() or (None, user, now, 0)
            if now - seen > self.idle or events >= LONGEST or user not in (None, owner):
                self._db.execute("UPDATE visits SET ended = ? WHERE visit = ?", (now, visit))
                visit = None
            if visit is None:
                query = "INSERT INTO visits VALUES (NULL, ?, ?, ?, ?, 0, NULL)"
                visit = self._db.execute(query, (name, user, moment, now)).lastrowid
                self.going_on += 1
            self._db.execute("UPDATE visits SET seen = ?, events = events + 1 WHERE visit = ?", (now, visit))
            self._db.execute("INSERT INTO events VALUES (?, ?, ?)", (visit, item, moment))
        if self.going_on > 1.1 * self.limit + 10:  # a server also sweeps now and then
            self.sweep()

    def session(self, name: str, user: Any = None) -> Any:
        """The live session of a name, with all of its events so far; one without events where there is none."""
        query = "SELECT visit, user, started FROM visits WHERE name = ? AND ended IS NULL AND seen >= ?"
        visit = self._db.execute(query, (name, time.time() - self.idle)).fetchone()
        if visit is None:
            return self._start(user, None)
        session, done, last = self._live.pop(visit[0], None) or (self._start(*visit[1:]), 0, None)
        self._live[visit[0]] = self._follow(session, visit[0], done, last)
        if len(self._live) > LIVE:
            self._live.popitem(last=False)
        return session

    def sweep(self) -> None:
        """End sessions that are idle or too many, and roll those that have ended into the model's memory."""
        beyond = "visit IN (SELECT visit FROM visits WHERE ended IS {} ORDER BY seen DESC LIMIT -1 OFFSET ?)"
        with self._writing() as now:
            self._db.execute("UPDATE visits SET ended = ? WHERE ended IS NULL AND seen < ?", (now, now - self.idle))
            evict = f"UPDATE visits SET ended = ? WHERE {beyond.format('NULL')}"
            self.evicted += self._db.execute(evict, (now, self.limit)).rowcount
            self.going_on = self._db.execute("SELECT COUNT(*) FROM visits WHERE ended IS NULL").fetchone()[0]
            query = """
                SELECT ended, visit, user, started, item, time FROM visits JOIN events USING (visit) WHERE ended > ?
                ORDER BY ended, seen, visit, events.rowid"""
            over = self._db.execute(query, (self._rolled,)).fetchall()
            self._db.execute(f"DELETE FROM visits WHERE {beyond.format('NOT NULL')}", (self.limit,))
        if over:
            self._roll(*zip(*over, strict=True))

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _roll(self, ended: Any, visits: Any, users: Any, started: Any, items: Any, times: Any) -> None:
        """Take in events of sessions that have ended, in the order in which they ended."""
        first = np.flatnonzero(np.diff(visits, prepend=-1))
        dwell = np.diff(times, append=np.nan).clip(min=0.0)  # NaN stays
        dwell[first[1:] - 1] = np.nan
        items, users = self._ids("item", items), self._ids("user", [users[place] for place in first])
        known = items != Vocabulary.ABSENT
        sessions = SessionInteractions.from_ragged(
            items[known],
            np.r_[0, np.cumsum(np.add.reduceat(known, first, dtype=np.int64))],
            users,
            self._model.num_items,
            dwell_times=dwell[known],
            started=np.array(started)[first],
        )
        self._model.update(sessions)
        self._live.clear()  # what follows starts from the new memory
        self._rolled = ended[-1]

    def _ids(self, kind: str, values: Sequence[Any]) -> NDArray[np.int64]:
        """Contiguous ids, -1 where unknown, of raw ones where the model knows these."""
        vocabulary = getattr(self._model, f"{kind}_vocabulary")
        if vocabulary is not None:
            return vocabulary.encode(np.array(values, dtype=object))
        names = self._model.item_vocabulary is not None  # which users of a log without any have, too
        return np.array([-1 if value is None or names else value for value in values], dtype=np.int64)

    def _start(self, user: Any, started: float | None) -> Any:
        return self._model.start_session(user, started, raw=self._model.item_vocabulary is not None)

    def _follow(
        self, session: Any, visit: int, done: int = 0, last: float | None = None
    ) -> tuple[Any, int, float | None]:
        """The session with the events after the first `done`; how many it has then, and the time of the last one."""
        query = "SELECT item, time FROM events WHERE visit = ? ORDER BY rowid LIMIT -1 OFFSET ?"
        for item, moment in self._db.execute(query, (visit, done)).fetchall():
            session.append(item, max(0.0, moment - last) if len(session) and last is not None else None)
            done, last = done + 1, moment
        return session, done, last

    @contextlib.contextmanager
    def _writing(self) -> Iterator[float]:
        """A transaction, and the time at which it began: later ones have later times."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield time.time()
