"""Know who may read from which registry. A login travels in one header of one request, and is stored nowhere."""

from __future__ import annotations

import base64

import msgspec

DEFAULT_REGISTRY = "docker.io"


class RegistryLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a registry wants to see."""

    host: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"RegistryLogin(host={self.host!r}, username={self.username!r}, password=(secret))"

    def header(self) -> str:
        """Encode as the engine wants it in `X-Registry-Auth`."""
        fields = {"username": self.username, "password": self.password, "serveraddress": self.host}
        return base64.urlsafe_b64encode(msgspec.json.encode(fields)).decode()


def find_login(reference: str, logins: tuple[RegistryLogin, ...]) -> RegistryLogin | None:
    """Pick the login for a reference's registry: what stands before the first slash, if it looks like a host."""
    first, slash, _ = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry = first if is_host else DEFAULT_REGISTRY
    return next((login for login in logins if login.host == registry), None)


def registry_headers(login: RegistryLogin | None) -> dict[str, str]:
    """Give the headers of a request that the engine passes on to a registry."""
    return {} if login is None else {"X-Registry-Auth": login.header()}
