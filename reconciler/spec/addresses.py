"""Define the types of network names and of the keys that prove who answers: addresses, ports, accounts, host keys."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

from reconciler.spec.leaf import whole_number
from reconciler.spec.refusal import refuse, text_of

LOCAL: Final = "local"

_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DNS_MAX: Final = 253
_USER: Final = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_HOSTS_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_REGISTRY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
_KEY_TYPES: Final = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
_WEAK_KEY_TYPES: Final = ("ssh-dss",)
_RSA_BITS_MIN: Final = 2048
_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?")


def _host_name_fault(text: str) -> str | None:
    """Say why `text` is neither a canonical IP address nor a DNS name, or None."""
    if not text or len(text) > _DNS_MAX:
        return f"it has {len(text)} characters; 1 to {_DNS_MAX} are wanted"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        if "%" in text:
            return "an address with a zone means another machine on each interface"
        return None if str(address) == text else f"the canonical form is {address}"
    labels = text.split(".")
    if not text.isascii() or any(_DNS_LABEL.fullmatch(label) is None for label in labels):
        return "it is neither an IP address nor a DNS name in lower case"
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        return "numbers that some programs take for an address are not used; write all four parts"
    return None


def _host_address(value: object) -> str:
    text = text_of(value, wanted="an address")
    fault = _host_name_fault(text)
    if fault is not None:
        hint = 'write an IP address, a DNS name in lower case, or "local"; user and port have their own fields'
        raise refuse("E_HOST_ADDR", f"{{got}} is no address of a host: {fault}", got=text, hint=hint)
    return text


def _ip_address(value: object) -> str:
    text = text_of(value, wanted="an IP address")
    if _host_name_fault(text) is not None or not (":" in text or text.replace(".", "").isdigit()):
        hint = "write numbers such as 127.0.0.1, 0.0.0.0 or ::1; names are not looked up here"
        raise refuse("E_IP_ADDR", "{got} is no IP address in canonical form", got=text, hint=hint)
    return text


def _host_user(value: object) -> str:
    text = text_of(value, wanted="an account's name")
    if _USER.fullmatch(text) is None:
        message = (
            "{got} is no account's name: up to 32 lower-case letters, digits, '_', '.' and '-', beginning with a letter"
        )
        raise refuse("E_HOST_USER", message, got=text)
    return text


def _name_for_hosts(value: object) -> str:
    text = text_of(value, wanted="a host's name")
    if len(text) > _DNS_MAX or _HOSTS_NAME.fullmatch(text) is None:
        hint = "write a name as /etc/hosts holds it, such as db or db.example"
        raise refuse("E_NAME", "{got} is no name of a host: letters, digits, '.', '_' and '-'", got=text, hint=hint)
    return text


def _registry(value: object) -> str:
    text = text_of(value, wanted="a registry")
    is_host = "." in text or ":" in text or text == "localhost"
    if len(text) > _DNS_MAX or _REGISTRY.fullmatch(text) is None or not is_host:
        hint = "write it as image references begin: registry.example, localhost:5000, or docker.io"
        raise refuse("E_REGISTRY", "{got} is no registry: a host, with its port where it has one", got=text, hint=hint)
    return text


def _port(value: object) -> int:
    return whole_number(value, at_least=1, at_most=65535, code="E_PORT")


def _host_key(value: object) -> str:
    text = text_of(value, wanted="a public host key").strip()
    parts = text.split(" ")
    hint = 'write what `ssh-keyscan` shows after the name, such as "ssh-ed25519 AAAA…", once you have verified it'
    if text.startswith(("MD5:", "SHA256:")) or re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){15}", text):
        raise refuse("E_SSH_HOSTKEY_FORMAT", "this is a fingerprint; the whole public key is wanted", hint=hint)
    if parts[0] in _WEAK_KEY_TYPES:
        message = f"{parts[0]} keys can be forged"
        raise refuse("E_SSH_HOSTKEY_WEAK", message, hint="make the host an ed25519 key: ssh-keygen -A")
    if parts[0] not in _KEY_TYPES or len(parts) < 2:  # noqa: PLR2004 - type and key
        raise refuse("E_SSH_HOSTKEY_FORMAT", "this is no public host key", hint=hint)
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except binascii.Error:
        raise refuse("E_SSH_HOSTKEY_FORMAT", "the key's base64 text is damaged", hint=hint) from None
    fields = _wire_fields(blob)
    if not fields or fields[0] != parts[0].encode():
        raise refuse("E_SSH_HOSTKEY_FORMAT", "the key does not hold what its first word says", hint=hint)
    if parts[0] == "ssh-rsa":
        bits = int.from_bytes(fields[2], "big").bit_length() if len(fields) > 2 else 0  # noqa: PLR2004 - e, then n
        if bits < _RSA_BITS_MIN:
            message = f"an RSA key of {bits} bits can be broken; {_RSA_BITS_MIN} are the least"
            raise refuse("E_SSH_HOSTKEY_WEAK", message, hint="pin the host's ed25519 key instead")
    return f"{parts[0]} {parts[1]}"


def _wire_fields(blob: bytes) -> list[bytes]:
    """Split an SSH key blob (RFC 4253: length and bytes, repeated); a damaged one gives an empty list."""
    fields = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return []
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return fields


def _url(value: object) -> str:
    text = text_of(value, wanted="a URL")
    if _URL.fullmatch(text) is None:
        raise refuse("E_URL", "{got} is no http or https URL without user and password", got=text)
    return text


HostAddress = Annotated[str, BeforeValidator(_host_address), WithJsonSchema({"type": "string", "maxLength": _DNS_MAX})]
IpAddress = Annotated[str, BeforeValidator(_ip_address), WithJsonSchema({"type": "string"})]
NameForHosts = Annotated[
    str, BeforeValidator(_name_for_hosts), WithJsonSchema({"type": "string", "pattern": f"^{_HOSTS_NAME.pattern}$"})
]
RegistryHost = Annotated[
    str, BeforeValidator(_registry), WithJsonSchema({"type": "string", "pattern": f"^{_REGISTRY.pattern}$"})
]
HostUser = Annotated[
    str, BeforeValidator(_host_user), WithJsonSchema({"type": "string", "pattern": f"^{_USER.pattern}$"})
]
Port = Annotated[int, BeforeValidator(_port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})]
PublicKey = Annotated[
    str,
    BeforeValidator(_host_key),
    WithJsonSchema({"type": "string", "pattern": "^(ssh-|ecdsa-|sk-)", "examples": ["ssh-ed25519 AAAA…"]}),
]
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
