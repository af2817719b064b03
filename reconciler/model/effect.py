"""Name every single thing the reconciler may do to a host. One effect is one mutation; each can be asked for twice.

A new feature adds a member here, never another way to mutate.
"""

from __future__ import annotations

import msgspec

from reconciler.model.compose import Project
from reconciler.model.marker import Marker
from reconciler.model.resource import Container
from reconciler.model.text import Text


class Existing(msgspec.Struct, frozen=True, tag="existing"):
    """Target a container that the plan saw, by its full id. `name` and `uid` must still be its own when acted on.

    With `project`, a person named that compose project: then nothing is to prove it ours, it must still be of that
    project, stopped, and without a label of ours.
    """

    full_id: str
    name: str
    uid: str
    project: str = ""


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


class StageTree(msgspec.Struct, frozen=True, tag="stage_tree"):
    """Send a folder of this machine into a fresh one beside `path`, and prove by its digest that all of it arrived.

    `folder` and `exclude` say what is sent; it must still be what `content` digests.
    """

    path: str
    root: str
    folder: str
    exclude: tuple[str, ...]
    content: str


class PlaceTree(msgspec.Struct, frozen=True, tag="place_tree"):
    """Exchange what is in `path` for what was staged beside it, which must digest to `content`.

    The folder itself stays the same one, so that whoever has it mounted sees what is new.
    """

    path: str
    root: str
    content: str


class JudgeCompose(msgspec.Struct, frozen=True, tag="judge_compose"):
    """Let the host's compose resolve a project's staged file, and see that the policy allows all that it asks for.

    What it came to is kept there, for `UpCompose`.
    """

    file: str
    project: Project


class UpCompose(msgspec.Struct, frozen=True, tag="up_compose"):
    """Judge again what was kept of a file, and let the host's compose make of its services what differs.

    Images that are missing are pulled.
    """

    file: str
    project: Project


class PutMarker(msgspec.Struct, frozen=True, tag="put_marker"):
    """Write the marker of a sandbox, making `<base_dir>/<uid>` (0700) where it is missing."""

    base_dir: str
    marker: Marker


class Legacy(msgspec.Struct, frozen=True, kw_only=True):
    """Bound the removal of a folder without proof: it is the SSH user's, at rest, and used by nobody.

    `older_than_s` is for how long nothing in it may have been modified; `aside` is the name beside it under which it
    is only put away, or empty to remove it.
    """

    older_than_s: int
    aside: str = ""


class DropPath(msgspec.Struct, frozen=True, tag="drop_path"):
    """Remove one path anchored below `root`: never through a link, never across a mount.

    `inode` (`device:inode`) must still be what stands there; None removes a file of ours by its path alone. With
    `marker_uid`, the folder must still hold the marker of the sandbox with this uid. `legacy` says that a person named
    a folder that nothing proves to be ours.
    """

    path: str
    root: str
    inode: str | None = None
    marker_uid: str = ""
    legacy: Legacy | None = None


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
    | StageTree
    | PlaceTree
    | JudgeCompose
    | UpCompose
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
