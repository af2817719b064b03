"""Fill in what Docker will fill in, on the desired side only, so that what is wanted compares with what is seen.

Source of the rules: inspect replies of Docker 20.10 and 26.1; the contract suite checks them on both.
"""

from __future__ import annotations

import msgspec

from reconciler.model.observed import ImageFact
from reconciler.model.resource import Container, Healthcheck
from reconciler.model.text import Text

SHM_DEFAULT_BYTES = 64 * 1024 * 1024
STOP_SIGNAL_DEFAULT = "SIGTERM"


def complete(want: Container, *, image: ImageFact) -> Container:
    """Return `want` as Docker will report it once it runs from `image`.

    The environment of the image comes first and is overridden; an overridden entrypoint drops the image's command;
    a health check merges field by field; image labels merge under the wanted ones.
    """
    entrypoint: tuple[Text, ...] = image.entrypoint if want.entrypoint is None else want.entrypoint
    command: tuple[Text, ...] = () if want.entrypoint is not None else image.command
    return msgspec.structs.replace(
        want,
        entrypoint=entrypoint,
        command=command if want.command is None else want.command,
        env={**image.env, **want.env},
        labels={**image.labels, **want.labels},
        user=image.user if want.user is None else want.user,
        working_dir=(image.working_dir if want.working_dir is None else want.working_dir) or "/",
        healthcheck=_merge_healthcheck(want.healthcheck, image.healthcheck),
        stop_signal=want.stop_signal or image.stop_signal or STOP_SIGNAL_DEFAULT,
        shm_bytes=SHM_DEFAULT_BYTES if want.shm_bytes is None else want.shm_bytes,
    )


def _merge_healthcheck(want: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    if want is None or image is None:
        return want if image is None else image
    return Healthcheck(
        test=want.test or image.test,
        interval_ms=image.interval_ms if want.interval_ms is None else want.interval_ms,
        timeout_ms=image.timeout_ms if want.timeout_ms is None else want.timeout_ms,
        start_period_ms=image.start_period_ms if want.start_period_ms is None else want.start_period_ms,
        retries=image.retries if want.retries is None else want.retries,
    )
