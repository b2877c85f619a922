"""Sockets of a server of several workers."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

bind_one = uvicorn.Config.bind_socket


class WorkerSocket(socket.socket):
    """A socket of which each process that it is sent to gets its own, at the same address.

    The system then deals connections out among the workers: of a socket that they share, the first to wake takes all
    that wait. Being known as one of TCP, it also sends a small answer at once, where uvicorn's own, for several
    workers, waits 40 ms for the client to acknowledge the one before.
    """

    @classmethod
    def bound(cls, host: str, port: int) -> WorkerSocket:
        """A socket that is bound to an address and does not listen yet."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        own = cls(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            own.setsockopt(socket.SOL_SOCKET, option, 1)
        own.bind((host, port))
        return own

    def __reduce__(self) -> Any:
        return self.bound, self.getsockname()[:2]


def bind_socket(config: uvicorn.Config) -> socket.socket:
    """Like uvicorn's, which ends the process where the address is taken, but a ``WorkerSocket``."""
    with bind_one(config) as taken:
        address = taken.getsockname()[:2]
    return WorkerSocket.bound(*address)
