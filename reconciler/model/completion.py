"""Fill in what Docker will fill in, on the desired side only, so that what is wanted compares with what is seen.

Source of the rules: inspect replies of Docker 20.10 and 26.1; the contract suite checks them on both.
"""

from __future__ import annotations

import posixpath

import msgspec

from reconciler.model.observed import ImageFact
from reconciler.model.resource import Container, Healthcheck
from reconciler.model.text import Text

SHM_DEFAULT_BYTES = 64 * 1024 * 1024
STOP_SIGNAL_DEFAULT = "SIGTERM"


LABEL_DISABLE = "label=disable"


def complete(want: Container, *, image: ImageFact) -> Container:
    """Return `want` as Docker will report it once it runs from `image`.

    The environment of the image comes first and is overridden; an overridden entrypoint drops the image's command,
    and without one an empty command means the image's; a health check merges field by field; image labels merge under
    the wanted ones; sharing the host's IPC goes with `label=disable`, which Docker adds and nobody has to ask for; of
    GPUs Docker knows the number alone.
    """
    command: tuple[Text, ...] = want.command or (() if want.entrypoint else image.command)
    return msgspec.structs.replace(
        want,
        entrypoint=image.entrypoint if want.entrypoint is None else want.entrypoint,
        command=command,
        env={**image.env, **want.env},
        labels={**image.labels, **want.labels},
        user=want.user or image.user,
        working_dir=_clean(want.working_dir or image.working_dir),
        gpu=want.gpu if want.gpu is msgspec.UNSET else want.gpu.plain,
        security_opt=tuple(opt for opt in want.security_opt if want.ipc != "host" or opt != LABEL_DISABLE),
        healthcheck=_merge_healthcheck(want.healthcheck, image.healthcheck),
        stop_signal=want.stop_signal or image.stop_signal or STOP_SIGNAL_DEFAULT,
        shm_bytes=want.shm_bytes or SHM_DEFAULT_BYTES,
    )


def _clean(path: str) -> str:
    """Write a path as Docker does: absolute, no doubled or closing slash, no dots."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def _merge_healthcheck(want: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    own, base = want or Healthcheck(), image or Healthcheck()
    merged = Healthcheck(
        test=own.test or base.test,
        interval_ms=own.interval_ms or base.interval_ms or None,
        timeout_ms=own.timeout_ms or base.timeout_ms or None,
        start_period_ms=own.start_period_ms or base.start_period_ms or None,
        retries=own.retries or base.retries or None,
    )
    return None if merged == Healthcheck() else merged
