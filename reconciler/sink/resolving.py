"""Look names up without ever being waited for: a name server that is silent holds nobody up at the program's end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_Found = list[tuple[Any, ...]] | OSError


class Resolver(AbstractResolver):
    """Ask the system in a thread that dies with the program.

    The threads that asyncio offers for this are waited for when a loop, or Python itself, ends: for as long as the
    system asks silent name servers, which is 10 s and more for each name.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give every address of a name. Raises `OSError` where it has none."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Found] = loop.create_future()

        def settle(found: _Found) -> None:
            if not answer.done():
                answer.set_result(found)

        def look_up() -> None:
            found: _Found
            try:
                found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=look_up, name="sink-names", daemon=True).start()
        found = await answer
        if isinstance(found, OSError):
            raise found
        return [
            ResolveResult(
                hostname=host, host=address[0], port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Let go of nothing."""
