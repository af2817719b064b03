"""Exchange what was looked at, in the moment before its removal."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.legacy import LegacyName, parse_legacy
from tests.e2e.sights import name_of
from tests.parity.traps import Ground, Thing, see


class Exchanges:
    """Exchange things just before an effect on them is sent, each once, and note what is not to be lost."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.e2e = ground, f"e2e-{ground.fleet.fleet}"
        self.decoy = ground.folder(Path(f"{ground.root}-decoy"))
        names = ("to-link", "to-other", "to-mounted", "to-used", "gone")
        self.folders = {name: ground.folder(ground.root / name) for name in names}
        self.project = ground.of_project(self.e2e, f"{self.e2e}-web-1")
        self.other = ground.of_project(f"{self.e2e}-2", f"{self.e2e}-2-web-1")
        self.ids = ground.fleet.containers(ground.alpha)
        self.kept: dict[str, tuple[Thing, object]] = {}

    @property
    def named(self) -> tuple[LegacyName, ...]:
        finds = [
            *(f"folder/{one.what}" for one in self.folders.values()),
            *(f"compose/{self.e2e}{end}" for end in ("", "-2")),
        ]
        return tuple(one for text in finds if (one := parse_legacy(f"alpha:{text}")) is not None)

    def __call__(self, what: str) -> None:
        name = Path(what).name
        ways = {
            "to-link": self.by_link,
            "to-other": self.by_other,
            "to-mounted": self.by_user,
            "to-used": self.by_mount,
            "recreated": self.by_namesake,
            "new-owner": self.by_name,
            self.e2e: self.by_start,
            f"{self.e2e}-2": self.by_twin,
        }
        if name in ways and name not in self.kept:
            thing = ways[name](Path(what.removeprefix("folder/")))
            self.kept[name] = (thing, see(thing))

    def by_link(self, path: Path) -> Thing:
        away = path.rename(path.with_name("moved-1"))
        path.symlink_to(self.decoy.what)
        return Thing(kind="path", what=str(away), host=self.ground.alpha)

    def by_other(self, path: Path) -> Thing:
        path.rename(path.with_name("moved-2"))
        return self.ground.folder(path)

    def by_user(self, path: Path) -> Thing:
        bind = f"type=bind,source={path},target=/x"
        self.ground.trap("66: a container that has just mounted it", self.ground.container("--mount", bind))
        return self.folders["to-mounted"]

    def by_mount(self, path: Path) -> Thing:
        self.ground.alpha.run("mount", "--bind", self.decoy.what, f"{path}/deep")
        return self.folders["to-used"]

    def by_namesake(self, _: Path) -> Thing:
        ground, name = self.ground, name_of(self.ground.fleet, "recreated")
        ground.alpha.engine("DELETE", f"/containers/{self.ids[name]}", force="true")
        return ground.container("--name", name)

    def by_name(self, _: Path) -> Thing:
        mine = self.ids[name_of(self.ground.fleet, "new-owner")]
        self.ground.alpha.docker("rename", mine, f"mine-{self.ground.fleet.fleet}")
        return Thing(kind="container", what=mine, host=self.ground.alpha)

    def by_start(self, _: Path) -> Thing:
        self.ground.alpha.docker("start", self.project.what)
        return self.project

    def by_twin(self, _: Path) -> Thing:
        self.ground.alpha.engine("DELETE", f"/containers/{self.other.what}", force="true")
        return self.ground.of_project(f"{self.e2e}-2", f"{self.e2e}-2-web-1")
