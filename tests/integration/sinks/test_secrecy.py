"""The token of a State Hub, and the options of a brought sink, are in no sentence and in no file."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reconciler.model.secret import Secret
from reconciler.sink import FileSink, open_sinks
from tests import builders as b
from tests.integration.sinks.conftest import Send
from tests.integration.sinks.stand_in import Request, StandIn, answer
from tests.security.canary import files_below, hatch, sightings
from tests.unit.sink.envelopes import a_provision

PADDING = "p" * 150
"""Puts what is echoed across the place where an answer is cut."""


def _raw(token: str) -> str:
    return token


def _in_json(token: str) -> str:
    return json.dumps({"you": f"Bearer {token}"})


def _in_base64(token: str) -> str:
    return base64.b64encode(f"Bearer {token}".encode()).decode()


@pytest.mark.parametrize("echo", [_raw, _in_json, _in_base64, quote])
@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("before", ["", PADDING, "p" * 4070])
async def test_a_hub_that_says_the_token_back_puts_it_nowhere(
    hub: StandIn, to: Send, tmp_path: Path, *, echo: Callable[[str], str], status: int, before: str
) -> None:
    token = hatch()
    hub.after = lambda request: answer(
        status, (before + echo(request.headers["authorization"][7:]) + "z" * 100).encode()
    )
    sinks = [hub.config(token=Secret(token)), FileSink(folder=tmp_path / "status/telemetry")]
    said = await to(a_provision(1), a_provision(2), sinks=sinks)
    assert hub.requests[0].headers["authorization"] == f"Bearer {token}", "or the test proves nothing"
    assert len(said) == 1
    assert f"answered {status}" in said[0]
    texts = [("what was said", "\n".join(said).encode()), *files_below(tmp_path)]
    assert len(texts) > 2
    assert sightings({"token": token}, texts) == []


async def test_an_answer_is_cut_only_once_the_token_is_out_of_it(hub: StandIn, to: Send) -> None:
    token = hatch()
    hub.after = lambda _: answer(503, b"p" * 198 + token.encode())
    (said,) = await to(a_provision(1), sinks=[hub.config(token=token)])
    assert said.endswith('pp(s…"'), "two characters of a token beside a cut would be two too many"


async def test_nobody_who_prints_a_sink_or_its_config_prints_the_token(hub: StandIn) -> None:
    token = hatch()
    config = hub.config(token=token)
    texts = [("repr", repr((config, open_sinks([config]), vars(open_sinks([config])[0]))).encode())]
    assert sightings({"token": token}, texts) == []


@pytest.mark.parametrize(
    "token", ["two\nlines-of-a-secret", "naïve-secret-token", " around-a-secret ", "\x7f-secret-x"]
)
async def test_a_token_that_no_header_can_carry_is_said_without_it(hub: StandIn, to: Send, token: str) -> None:
    (said,) = await to(a_provision(1), sinks=[hub.config(token=token)])
    assert "its token has characters that no header can carry" in said
    assert "secret" not in said
    assert hub.requests == []


async def test_a_redirect_takes_the_token_nowhere(hub: StandIn, to: Send) -> None:
    token = hatch()
    elsewhere = StandIn()
    async with elsewhere.serve():

        def lead_away(_: Request) -> bytes:
            return answer(307, b"", f"Location: {elsewhere.url}/\r\n")

        hub.after = lead_away
        await to(a_provision(1), sinks=[hub.config(token=token)])
        assert len(hub.requests) == 1
        assert elsewhere.requests == []


async def test_a_hub_whose_certificate_nobody_vouches_for_gets_nothing(to: Send, tmp_path: Path) -> None:
    hub = StandIn(tls=_self_signed(tmp_path))
    async with hub.serve():
        (said,) = await to(a_provision(1), sinks=[hub.config(token=hatch())])
    assert "its certificate is not trusted" in said
    assert hub.requests == []


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(b.T0).not_valid_after(b.T0 + timedelta(days=10000))
    encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
    pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, none)
    path = folder / "hub.pem"
    path.write_bytes(pem + made.sign(key, hashes.SHA256()).public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    path.unlink()
    return context
