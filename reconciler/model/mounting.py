"""Judge which folders of a host no container may be given, where only the host tells where they lie."""

from __future__ import annotations


def exposed_by(source: str, *, base_dir: str, uid: str) -> str | None:
    """Say what of ours a mounted host path would lay open, or None.

    Args:
        source: absolute path on the host.
        base_dir: the folder on the host that holds ours.
        uid: of the sandbox that would get it; its own folder is its own.
    """
    own = source.startswith(f"{base_dir}/{uid}/")
    if _holds(source, base_dir) or (_holds(base_dir, source) and not own):
        return f"{base_dir} holds the markers and folders of all sandboxes"
    return None


def exposed_of_docker(source: str, *, docker_root: str) -> str | None:
    """Say what of the engine's a mounted host path would lay open, or None."""
    if _holds(source, docker_root) or _holds(docker_root, source):
        return f"{docker_root} holds what Docker keeps of every container"
    return None


def _holds(folder: str, path: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")
