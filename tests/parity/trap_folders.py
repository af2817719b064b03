"""Set the traps that are folders: by kind, age and owner, by name, in use, and in our own base folder."""

from __future__ import annotations

import os
from pathlib import Path

from tests.parity.traps import Ground, Thing


def set_plain(ground: Ground, decoy: Path) -> None:
    """Set folders by their kind, their age and their owner."""
    root = ground.root
    gone = ground.folder(root / "gone")
    (root / "gone/way-out").symlink_to(decoy)
    kept = root / "linked-file"
    kept.write_text("linked")
    os.link(kept, root / "gone/also")
    ground.give(root / "gone")
    ground.age(root / "gone")
    ground.control("a folder that is named, old and at rest", gone, named=f"folder/{root}/gone")
    ground.trap(
        "38: the other name of a file with two, of which one goes",
        Thing(kind="path", what=str(kept), host=ground.alpha),
    )
    ground.trap("39: a folder that is not named", ground.folder(root / "not-named"))
    ground.trap("40: a folder whose name begins like a named one", ground.folder(root / "gone-too"))
    ground.trap(
        "41: a folder that another user owns", ground.folder(root / "theirs", ours=False), named=f"folder/{root}/theirs"
    )
    inner = ground.folder(root / "inner")
    os.chown(root / "inner/deep", 0, 0)
    ground.trap("42: a folder in which another user has one", inner, named=f"folder/{root}/inner")
    ground.trap("43: a folder that is young", ground.folder(root / "young", old=False), named=f"folder/{root}/young")
    deep = ground.folder(root / "worked-in")
    (root / "worked-in/deep/precious").write_text("of today")
    ground.trap("44: an old folder in which somebody has just written", deep, named=f"folder/{root}/worked-in")
    ahead = ground.folder(root / "ahead")
    ground.age(root / "ahead", days=-4)
    ground.trap("45: a folder made by a clock that is a day ahead", ahead, named=f"folder/{root}/ahead")
    (root / "link").symlink_to(decoy)
    link = Thing(kind="path", what=str(root / "link"), host=ground.alpha)
    ground.trap("46: a link to a folder", link, named=f"folder/{root}/link")
    (root / "file").write_text("a file")
    file = Thing(kind="path", what=str(root / "file"), host=ground.alpha)
    ground.trap("47: a file", file, named=f"folder/{root}/file")


def set_names(ground: Ground) -> None:
    """Set folders by what they are called, and how they are named."""
    root, alpha = ground.root, ground.alpha
    ground.control("a folder whose name begins with a dash", ground.folder(root / "-rf"), named=f"folder/{root}/-rf")
    ground.control("a folder whose name is a pattern", ground.folder(root / "star *"), named=f"folder/{root}/star *")
    ground.trap("48: a folder that a pattern would name", ground.folder(root / "star x"))
    quoted = "a'; rm -rf $(pwd) #"
    ground.control("a folder whose name is a command", ground.folder(root / quoted), named=f"folder/{root}/{quoted}")
    ground.trap(
        "49: a folder named by a way around",
        ground.folder(root / "around"),
        named=f"folder/{root}/../{root.name}/around",
    )
    ground.trap(
        "50: a folder named with a slash too many", ground.folder(root / "slash"), named=f"folder/{root}/slash/"
    )
    ground.trap("51: a folder in a folder", ground.folder(root / "nest"), named=f"folder/{root}/nest/deep")
    ground.trap("52: a folder that is hidden", ground.folder(root / ".hidden"), named=f"folder/{root}/.hidden")
    away = Thing(kind="path", what=str(alpha.home / ".ssh"), host=alpha)
    Path(away.what).mkdir(exist_ok=True)
    ground.trap("53: a folder outside of every legacy root", away, named=f"folder/{away.what}")


def set_used(ground: Ground) -> list[str]:
    """Set folders that somebody uses; give the processes that were started for that."""
    root, alpha = ground.root, ground.alpha
    stands = ground.folder(root / "stood-in")
    ground.trap("54: a folder in which a process stands", stands, named=f"folder/{root}/stood-in")
    holds = ground.folder(root / "held-open")
    ground.trap("55: a folder with a file that a process has open", holds, named=f"folder/{root}/held-open")
    script = 'cd "$1" && exec 8<"$2" && exec setpriv --reuid "$3" --regid "$4" --clear-groups sleep 600'
    detached = f"sh -c '{script}' sh \"$@\" >/dev/null 2>&1 </dev/null & echo $!"
    pids = [
        alpha.run("sh", "-c", detached, "sh", folder, file, str(alpha.uid), str(alpha.record.gid)).strip()
        for folder, file in ((f"{root}/stood-in/deep", "/dev/null"), ("/", f"{root}/held-open/deep/precious"))
    ]
    for number, (title, run) in enumerate({"a stopped container": False, "a running container": True}.items(), 56):
        path = root / f"mounted-{number}"
        folder = ground.folder(path)
        bind = f"type=bind,source={path}/deep,target=/x"
        user = ground.container("--name", f"{ground.fleet.fleet}-user-{number}", "--mount", bind, run=run)
        ground.trap(f"{number}: a folder that {title} mounts from", folder, user, named=f"folder/{path}")
    mounted = ground.folder(root / "mounted")
    alpha.run("mount", "-t", "tmpfs", "none", f"{root}/mounted/deep")
    ground.trap("58: a folder in which something is mounted", mounted, named=f"folder/{root}/mounted")
    return pids


def set_in_base(ground: Ground, base: Path) -> None:
    """Set folders in our own base folder."""
    kept = ground.folder_of("kept")
    assert kept is not None
    copy = base / "0123abcd"
    copy.mkdir()
    (copy / ".reconciler.json").write_bytes((kept / ".reconciler.json").read_bytes())
    ground.give(copy)
    ground.age(copy)
    ground.trap(
        "59: a copy of a sandbox's folder",
        Thing(kind="path", what=str(copy), host=ground.alpha),
        named=f"folder/{copy}",
    )
    ground.trap("60: the folder of a sandbox of ours", *ground.sandbox("kept"), named=f"folder/{kept}")
    ground.control(
        "a folder of nobody in our base folder", ground.folder(base / "left-behind"), named=f"folder/{base}/left-behind"
    )
