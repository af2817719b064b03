"""Report each envelope to a State Hub: one POST each.

What a State Hub takes is our assumption, since it publishes no schema: `POST <url>/progress/` with the keys of
`hub_body`. Path and fields can be changed where a hub wants others.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from reconciler.model.redaction import Redactor
from reconciler.model.secret import Secret
from reconciler.model.telemetry import Envelope
from reconciler.model.text import CUT, head_of, printable
from reconciler.sink.interface import NotDelivered

if TYPE_CHECKING:
    import aiohttp  # the import takes 0.4 s, and most commands send nothing

ANSWER_SHOWN = 200
"""So many characters of a refusal are shown and kept."""

_ANSWER_READ_BYTES = 4096
_ANSWER_READ_S = 0.5
# Who may not come in today may tomorrow: a token that ran out must not cost what nobody has read.
_TRY_AGAIN = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_HEADER_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*")


class HubSink(msgspec.Struct, frozen=True, kw_only=True):
    """Report to one State Hub.

    Attributes:
        url: where it is, `http` or `https`; a path in it stays.
        token: sent as `Authorization: Bearer`, and nowhere else; None sends none.
        path: below `url`.
        fields: more top-level keys of the body. One that has the name of an own key replaces it.
        workstream_id: what the hub files reports under.
    """

    url: str
    workstream_id: str
    token: str | None = None
    path: str = "progress/"
    fields: dict[str, str] = {}
    name: str = "stateHub"

    def __post_init__(self) -> None:
        """Make a secret of a token that is plain text, so that no repr shows it."""
        if self.token is not None and not isinstance(self.token, Secret):
            msgspec.structs.force_setattr(self, "token", Secret(self.token))


def hub_body(envelope: Envelope, config: HubSink) -> dict[str, Any]:
    """Give what is posted for an envelope, as JSON types. `detail` holds its id, and its delta or report."""
    told = {"delta": envelope.delta, "report": envelope.report}
    body = {
        "workstream_id": config.workstream_id,
        "event": envelope.event,
        "host": envelope.host,
        "sandbox_id": envelope.sandbox_id,
        "profile_id": envelope.profile_id,
        "collected_at": envelope.collected_at,
        "schema_version": envelope.schema_version,
        "detail": {"id": envelope.id, **{key: value for key, value in told.items() if value is not None}},
        **config.fields,
    }
    plain: dict[str, Any] = msgspec.to_builtins(body)
    return plain


class Hub:
    """Be the sink of a `HubSink`, with one connection that is opened when it is needed."""

    def __init__(self, config: HubSink) -> None:
        self.name = config.name
        self._config = config
        parts = urlsplit(config.url)
        path = f"{parts.path.rstrip('/')}/{config.path.lstrip('/')}"
        self._url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        # A query may hold a key, and a login may stand before the host: neither is shown.
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
        self._redactor = Redactor(() if config.token is None else (config.token,))
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, envelope: Envelope) -> None:
        """Post one envelope. A status of 2xx takes it; redirects are not followed."""
        body = msgspec.json.encode(hub_body(envelope, self._config))
        session = self._opened()
        import aiohttp  # noqa: PLC0415 - see above

        try:
            asked = session.post(self._url, data=body, headers=self._headers(envelope), allow_redirects=False)
            async with asked as response:
                # What stands in the body of a yes is not waited for: it could only turn what was taken into a repeat.
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    raise self._refusal(response.status, await _beginning(response.content))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotDelivered(f"{self._shown}: {_why(error)}") from None

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp  # noqa: PLC0415 - see above

            from reconciler.sink.resolving import Resolver  # noqa: PLC0415 - imports aiohttp

            # How long all may take is bounded by who sends. Nothing is read from the environment: no proxy, no netrc.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, resolver=Resolver()),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "reconciler", "Content-Type": "application/json"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _headers(self, envelope: Envelope) -> dict[str, str]:
        headers = {"Idempotency-Key": envelope.id, "Accept-Encoding": "identity"}
        if self._config.token is not None:
            if _HEADER_VALUE.fullmatch(self._config.token) is None:
                raise NotDelivered("its token has characters that no header can carry")
            headers["Authorization"] = f"Bearer {self._config.token}"
        return headers

    def _refusal(self, status: int, answer: bytes) -> NotDelivered:
        said = f"{self._shown} answered {status} {_phrase(status)}".rstrip()
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return NotDelivered(f"{said}, and redirects are not followed: write the address that it leads to")
        # Redacted before it is cut, so that half a token beside the cut is not left over.
        clean = printable(" ".join(self._redactor.text(answer.decode(errors="replace")).split()))
        words = f': "{head_of(clean, ANSWER_SHOWN)}"' if clean else ""
        permanent = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TRY_AGAIN
        return NotDelivered(f"{said}{words}", permanent=permanent)


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Read the first words of a refusal, as far as they come soon.

    Where there is more, that is shown by a cut, so that half a token beside it can be told.
    """
    import aiohttp  # noqa: PLC0415 - see above

    read = b""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_ANSWER_READ_S):
            while len(read) < _ANSWER_READ_BYTES and (piece := await content.read(_ANSWER_READ_BYTES - len(read))):
                read += piece
            if len(read) < _ANSWER_READ_BYTES:
                return read
    return read + CUT.encode() if read else b""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _why(error: Exception) -> str:
    """Say why no answer came. Nothing is quoted that could hold a header."""
    import aiohttp  # noqa: PLC0415 - see above

    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate is not trusted, or it speaks no TLS"
        case aiohttp.ClientConnectorDNSError():
            return "its name does not resolve"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "it refuses connections"
        case aiohttp.ClientConnectorError():
            return f"it cannot be reached ({error.os_error.strerror or type(error.os_error).__name__})"
        case aiohttp.InvalidURL():
            return "this is no address"
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | ConnectionError():
            return "it closed the connection without an answer"
        case _:
            return f"no answer that can be understood ({type(error).__name__})"
