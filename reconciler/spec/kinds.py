"""Name the kinds of documents and their models."""

from __future__ import annotations

from typing import Final

from reconciler.spec.fields import Document
from reconciler.spec.fleet import Fleet
from reconciler.spec.host import Host
from reconciler.spec.job import Job
from reconciler.spec.profile import Profile
from reconciler.spec.sandbox import Sandbox

API_VERSIONS: Final = ("reconciler/v1",)
KINDS: Final[dict[str, type[Document]]] = {
    "Fleet": Fleet,
    "Host": Host,
    "Profile": Profile,
    "Sandbox": Sandbox,
    "Job": Job,
}
