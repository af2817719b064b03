"""Make container images without a registry: archives for `docker load`, from the static busybox.

Same bytes every time, so that an image has one id on every host, as one pulled from a registry would.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.command import run
from tests.lab.missing import LabError
from tests.lab.packages import Programs, cache_folder

_FORMAT = 1  # raise it when an image changes, so that cached archives are made anew
_CREATED = "2024-01-01T00:00:00Z"
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Image:
    """Describe an image: the files it adds to busybox, and its configuration in Docker's own words."""

    ref: str
    config: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


def _web(version: int) -> Image:
    return Image(
        ref=f"lab/web:{version}",
        files={"www/index.html": f"web {version}\n"},
        config={
            "Env": ["PATH=/bin", f"LAB_VERSION={version}"],
            "Cmd": ["httpd", "-f", "-p", "8080", "-h", "/www"],
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"lab.image": "web"},
        },
    )


_RICH = Image(
    ref="lab/rich:1",
    files={"entry.sh": '#!/bin/sh\nexec "$@"\n'},
    config={
        "Env": ["PATH=/bin", "LAB_MODE=rich", "LAB_EMPTY="],
        "Labels": {"lab.image": "rich", "lab.spaced": "two words"},
        "Volumes": {"/data": {}},
        "ExposedPorts": {"8080/tcp": {}, "9090/udp": {}},
        "User": "1000:1000",
        "WorkingDir": "/work",
        "Entrypoint": ["/bin/sh", "/entry.sh"],
        "Cmd": ["sleep", "86400"],
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 2 * _SECOND_NS,
            "Timeout": _SECOND_NS,
            "StartPeriod": _SECOND_NS,
            "Retries": 2,
        },
        "StopSignal": "SIGKILL",
    },
)

IMAGES: Mapping[str, Image] = {
    image.ref: image
    for image in (
        Image(ref="lab/busybox:1", config={"Env": ["PATH=/bin"], "Cmd": ["sh"]}),
        _web(1),
        _web(2),
        _RICH,
    )
}


def archive(ref: str, programs: Programs) -> Path:
    """Return the archive of an image for `docker load`, made once and kept in the cache.

    Errors: `LabError` for a name that is not in `IMAGES`.
    """
    if ref not in IMAGES:
        raise LabError(f"the lab makes no image {ref}; it makes {', '.join(IMAGES)}")
    busybox = programs.find("busybox")
    seal = hashlib.sha256(f"{_FORMAT} {busybox} {busybox.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    folder = cache_folder() / "images"
    path = folder / f"{ref.replace('/', '-').replace(':', '-')}-{seal}.tar"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{path.name}.{os.getpid()}"
        partial.write_bytes(_docker_archive(IMAGES[ref], busybox))
        partial.rename(path)
    return path


def _docker_archive(image: Image, busybox: Path) -> bytes:
    layer = _layer(image, busybox)
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "created": _CREATED,
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": _CREATED, "created_by": "lab"}],
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [image.ref], "Layers": ["layer.tar"]}]).encode()
    return _tar({name: config, "layer.tar": layer, "manifest.json": manifest})


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _layer(image: Image, busybox: Path) -> bytes:
    applets = [name for name in run([busybox, "--list"]).split() if name != "busybox"]
    users = "root:x:0:0::/root:/bin/sh\nlab:x:1000:1000::/work:/bin/sh\n"
    files = {
        "bin/busybox": busybox.read_bytes(),
        "etc/passwd": users.encode(),
        "etc/group": b"root:x:0:\nlab:x:1000:\n",
        **{name: text.encode() for name, text in image.files.items()},
    }
    links = {f"bin/{name}": "busybox" for name in applets}
    return _tar(files, links=links, folders=("bin", "etc", "root", "tmp", "www", "work"), mode=0o755)


def _tar(
    files: Mapping[str, bytes],
    *,
    links: Mapping[str, str] | None = None,
    folders: tuple[str, ...] = (),
    mode: int = 0o644,
) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(entry)
    return whole.getvalue()
