"""How answers leave the server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


class Prompt(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol, whose answers are sent at once.

    With several workers uvicorn's sockets have Nagle's algorithm, which holds a small answer back until the client
    acknowledges the one before: 40 ms.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As in ``asyncio.Protocol``."""
        connection: Any = transport.get_extra_info("socket")
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
