"""Name every single thing the reconciler may do to a host. One effect is one mutation; each can be asked for twice.

A new feature adds a member here, never another way to mutate.
"""

from __future__ import annotations

import msgspec

from reconciler.model.marker import Marker
from reconciler.model.resource import Container
from reconciler.model.text import Text


class Existing(msgspec.Struct, frozen=True, tag="existing"):
    """Target a container that the plan saw, by its full id. `name` and `uid` must still be its own when acted on."""

    full_id: str
    name: str
    uid: str


class Made(msgspec.Struct, frozen=True, tag="made"):
    """Target the container that an earlier step of the same action made under this name."""

    name: str
    uid: str


Target = Existing | Made


class MakeDirectory(msgspec.Struct, frozen=True, tag="make_directory"):
    """Make a directory and its parents below `root`, or set its mode where it exists and is ours."""

    path: str
    mode: str
    root: str


class PutFile(msgspec.Struct, frozen=True, tag="put_file"):
    """Write a file atomically below `root`; `content` may still hold secrets, filled in at the last moment."""

    path: str
    mode: str
    content: Text
    root: str


class PutMarker(msgspec.Struct, frozen=True, tag="put_marker"):
    """Write the marker of a sandbox, making `<base_dir>/<uid>` (0700) where it is missing."""

    base_dir: str
    marker: Marker


class DropPath(msgspec.Struct, frozen=True, tag="drop_path"):
    """Remove one path anchored below `root`: never through a link, never across a mount.

    `inode` (`device:inode`) must still be what stands there; None removes a file of ours by its path alone.
    """

    path: str
    root: str
    inode: str | None = None


class PullImage(msgspec.Struct, frozen=True, tag="pull_image"):
    """Make an image present, by reference; one that is there is pulled again where it lacks `digest`."""

    reference: str
    digest: str | None = None


class CreateVolume(msgspec.Struct, frozen=True, tag="create_volume"):
    """Create a named volume with our labels."""

    name: str
    labels: dict[str, str]


class CreateNetwork(msgspec.Struct, frozen=True, tag="create_network"):
    """Create a bridge network with our labels; its name is checked first, since Docker would make two."""

    name: str
    labels: dict[str, str]


class RemoveNetwork(msgspec.Struct, frozen=True, tag="remove_network"):
    """Remove a network by id; its name and uid label must still be its own."""

    id: str
    name: str
    uid: str


class CreateContainer(msgspec.Struct, frozen=True, tag="create_container"):
    """Create a container under a free name. The name is the compare-and-set; `labels` carry the attempt.

    `image_id` is what `container.image` meant when planned, or None when it was to be pulled first.
    """

    name: str
    container: Container
    labels: dict[str, str]
    image_id: str | None = None


class ConnectNetwork(msgspec.Struct, frozen=True, tag="connect_network"):
    """Connect a container to one more network."""

    target: Target
    network: str
    aliases: tuple[str, ...] = ()


class StartContainer(msgspec.Struct, frozen=True, tag="start_container"):
    """Start a container."""

    target: Target


class RestartContainer(msgspec.Struct, frozen=True, tag="restart_container"):
    """Stop a container with its grace and start it again."""

    target: Target
    grace_s: int


class StopContainer(msgspec.Struct, frozen=True, tag="stop_container"):
    """Stop a container with its grace; Docker kills it afterwards."""

    target: Target
    grace_s: int


class UpdateContainer(msgspec.Struct, frozen=True, tag="update_container"):
    """Set limits and restart policy of a container, all four at once, and read them back."""

    target: Target
    restart: str
    cpu_nanos: int | None
    memory_bytes: int | None
    pids: int | None


class RenameContainer(msgspec.Struct, frozen=True, tag="rename_container"):
    """Give a container its lasting name, or a tomb's."""

    target: Target
    to: str


class RemoveContainer(msgspec.Struct, frozen=True, tag="remove_container"):
    """Remove a stopped container and its anonymous volumes."""

    target: Target


Effect = (
    MakeDirectory
    | PutFile
    | PutMarker
    | DropPath
    | PullImage
    | CreateVolume
    | CreateNetwork
    | RemoveNetwork
    | CreateContainer
    | ConnectNetwork
    | StartContainer
    | RestartContainer
    | StopContainer
    | UpdateContainer
    | RenameContainer
    | RemoveContainer
)


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The effect holds. `value` is the full id of what was created; `changed` is False when it held already.

    `warning` tells people what is left for them to do, e.g. of a folder that only root can empty; else it is empty.
    """

    value: str | None = None
    changed: bool = True
    warning: str = ""


class NotDone(msgspec.Struct, frozen=True, tag="not_done"):
    """The effect certainly does not hold. `transient` says that the same call may succeed later."""

    code: str
    message: str
    hint: str | None = None
    transient: bool = False


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """The effect may hold: look before doing anything else."""

    why: str


Outcome = Done | NotDone | Unknown
