"""Queues and messages in one SQLite file, so that a killed broker loses nothing acknowledged.

Without fsync: the file has to survive the process, not the machine.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DEAD_LETTER_SUFFIX = "/$deadletterqueue"
MAX_DELIVERIES_EXCEEDED = ("MaxDeliveryCountExceeded", "Message could not be consumed after {count} delivery attempts.")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (
    name TEXT PRIMARY KEY, lock_seconds REAL, max_delivery_count INTEGER, duplicate_detection_seconds REAL);
CREATE TABLE IF NOT EXISTS messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT, message_id TEXT, content BLOB, enqueued REAL,
    delivery_count INTEGER DEFAULT 0, lock_token BLOB, locked_until REAL, reason TEXT DEFAULT '', description TEXT DEFAULT '');
CREATE INDEX IF NOT EXISTS waiting ON messages (entity, sequence) WHERE lock_token IS NULL;
CREATE INDEX IF NOT EXISTS locked ON messages (locked_until) WHERE lock_token IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS tokens ON messages (lock_token) WHERE lock_token IS NOT NULL;
CREATE TABLE IF NOT EXISTS seen (queue TEXT, message_id TEXT, until REAL, PRIMARY KEY (queue, message_id));
CREATE TABLE IF NOT EXISTS keys (key TEXT);
"""


class LockLostError(Exception):
    """The lock expired, or the message is settled."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A waiting or locked message."""

    sequence: int
    entity: str
    message_id: str
    content: bytes
    enqueued: float
    delivery_count: int
    """Number of failed deliveries."""
    lock_token: bytes | None
    locked_until: float | None
    reason: str
    description: str


class Store:
    """All entities (`<queue>` and `<queue>/$deadletterqueue`, in lower case) and their messages. Use one per thread."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def add_queue(
        self, name: str, lock_seconds: float, max_delivery_count: int, duplicate_detection_seconds: float
    ) -> None:
        """Create a queue, or change its options."""
        row = (name.lower(), lock_seconds, max_delivery_count, duplicate_detection_seconds)
        self._db.execute("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?)", row)

    def has(self, entity: str) -> bool:
        """Whether the queue or dead-letter sub-queue exists."""
        rows = self._db.execute("SELECT 1 FROM queues WHERE name = ?", (_queue(entity),))
        return rows.fetchone() is not None

    def key(self) -> str:
        """The current shared access key."""
        row = self._db.execute("SELECT key FROM keys ORDER BY rowid DESC").fetchone()
        return str(row[0]) if row else ""

    def set_key(self, key: str) -> None:
        """Change the shared access key."""
        self._db.execute("INSERT INTO keys VALUES (?)", (key,))

    def put(self, queue: str, messages: Iterable[tuple[str, bytes]]) -> None:
        """Store messages, given as id (or empty) and content, in one transaction."""
        now = time.time()
        (window,) = self._db.execute(
            "SELECT duplicate_detection_seconds FROM queues WHERE name = ?", (queue,)
        ).fetchone()
        with self._transaction():
            for message_id, content in messages:
                if not (window and message_id and self._seen(queue, message_id, now, window)):
                    self._db.execute(
                        "INSERT INTO messages (entity, message_id, content, enqueued) VALUES (?, ?, ?, ?)",
                        (queue, message_id, content, now),
                    )

    def _seen(self, queue: str, message_id: str, now: float, window: float) -> bool:
        self._db.execute("DELETE FROM seen WHERE until < ?", (now,))
        added = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (queue, message_id, now + window))
        return added.rowcount == 0

    def lock(self, entity: str, count: int) -> list[Stored]:
        """Lock the first waiting messages."""
        (seconds,) = self._db.execute("SELECT lock_seconds FROM queues WHERE name = ?", (_queue(entity),)).fetchone()
        until = time.time() + seconds
        with self._transaction():
            waiting = self._db.execute(
                "SELECT sequence FROM messages WHERE entity = ? AND lock_token IS NULL ORDER BY sequence LIMIT ?",
                (entity, count),
            ).fetchall()
            return [self._lock_one(sequence, until) for (sequence,) in waiting]

    def _lock_one(self, sequence: int, until: float) -> Stored:
        row = self._db.execute(
            "UPDATE messages SET lock_token = ?, locked_until = ? WHERE sequence = ? RETURNING *",
            (uuid.uuid4().bytes, until, sequence),
        ).fetchone()
        return Stored(*row)

    def complete(self, token: bytes) -> str:
        """Delete a locked message. Returns its entity and raises LockLostError, like the methods below."""
        message = self._locked(token)
        self._db.execute("DELETE FROM messages WHERE sequence = ?", (message.sequence,))
        return message.entity

    def release(self, token: bytes) -> str:
        """Unlock a message without counting the delivery."""
        message = self._locked(token)
        self._unlock(message, message.delivery_count)
        return message.entity

    def abandon(self, token: bytes) -> str:
        """Unlock a message after a failed delivery, or dead-letter it after the last allowed one."""
        message = self._locked(token)
        self._count_failed_delivery(message)
        return message.entity

    def dead_letter(self, token: bytes, reason: str, description: str) -> str:
        """Dead-letter a locked message."""
        message = self._locked(token)
        self._move(message, message.delivery_count, reason, description)
        return message.entity

    def renew(self, token: bytes) -> float:
        """Renew a lock. Returns its expiry, in seconds since 1970."""
        message = self._locked(token)
        (seconds,) = self._db.execute(
            "SELECT lock_seconds FROM queues WHERE name = ?", (_queue(message.entity),)
        ).fetchone()
        until = time.time() + float(seconds)
        self._db.execute("UPDATE messages SET locked_until = ? WHERE sequence = ?", (until, message.sequence))
        return until

    def expire(self) -> set[str]:
        """Release expired locks. Returns the entities with newly available messages."""
        rows = self._db.execute(
            "SELECT * FROM messages WHERE lock_token IS NOT NULL AND locked_until <= ?", (time.time(),)
        ).fetchall()
        for row in rows:
            self._count_failed_delivery(Stored(*row))
        return {Stored(*row).entity for row in rows}

    def browse(self, entity: str, from_sequence: int = 0, count: int = -1) -> list[Stored]:
        """Messages in order, locked or not, without changing them."""
        rows = self._db.execute(
            "SELECT * FROM messages WHERE entity = ? AND sequence >= ? ORDER BY sequence LIMIT ?",
            (entity, from_sequence, count),
        )
        return [Stored(*row) for row in rows]

    def counts(self, queue: str) -> tuple[int, int, int]:
        """Number of waiting, locked and dead-lettered messages."""
        waiting, locked = self._db.execute(
            "SELECT COUNT(*) - COUNT(lock_token), COUNT(lock_token) FROM messages WHERE entity = ?", (queue,)
        ).fetchone()
        (dead,) = self._db.execute(
            "SELECT COUNT(*) FROM messages WHERE entity = ?", (queue + DEAD_LETTER_SUFFIX,)
        ).fetchone()
        return int(waiting), int(locked), int(dead)

    def _locked(self, token: bytes) -> Stored:
        row = self._db.execute(
            "SELECT * FROM messages WHERE lock_token = ? AND locked_until > ?", (token, time.time())
        ).fetchone()
        if row is None:
            raise LockLostError
        return Stored(*row)

    def _count_failed_delivery(self, message: Stored) -> None:
        count = message.delivery_count + 1
        (allowed,) = self._db.execute(
            "SELECT max_delivery_count FROM queues WHERE name = ?", (_queue(message.entity),)
        ).fetchone()
        if count >= allowed and not message.entity.endswith(DEAD_LETTER_SUFFIX):
            self._move(message, count, MAX_DELIVERIES_EXCEEDED[0], MAX_DELIVERIES_EXCEEDED[1].format(count=count))
        else:
            self._unlock(message, count)

    def _unlock(self, message: Stored, delivery_count: int) -> None:
        self._db.execute(
            "UPDATE messages SET lock_token = NULL, locked_until = NULL, delivery_count = ? WHERE sequence = ?",
            (delivery_count, message.sequence),
        )

    def _move(self, message: Stored, delivery_count: int, reason: str, description: str) -> None:
        self._unlock(message, delivery_count)
        self._db.execute(
            "UPDATE messages SET entity = ?, reason = ?, description = ? WHERE sequence = ?",
            (_queue(message.entity) + DEAD_LETTER_SUFFIX, reason, description, message.sequence),
        )

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def _queue(entity: str) -> str:
    return entity.removesuffix(DEAD_LETTER_SUFFIX)
