"""Let the host's own compose v2 make the services of a file: resolved, judged, made ours, and only then brought up.

What is brought up is what was judged: compose is given the resolved file back, never the operator's once more. It is
resolved once, where the tree is staged: there its digest was just proved, and no container can reach it. In its place a
container that has the tree mounted may write another file, or a link to any file of the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from reconciler.host.effects.supplies import pull_image
from reconciler.host.files.change import find_spot, read_answer, run_held, undone
from reconciler.host.files.sources import REAL_HINT, ask_sources
from reconciler.host.scripts import load_script
from reconciler.model.compose import Model, Project, images_of, ours
from reconciler.model.effect import Done, JudgeCompose, NotDone, Outcome, PullImage, Unknown, UpCompose
from reconciler.model.judging import in_place, judge
from reconciler.model.names import SERVICES, DerivedName, composed_name
from reconciler.model.ownership import doubt_container
from reconciler.model.text import printable

if TYPE_CHECKING:
    from reconciler.host.effects.engine import Engine
    from reconciler.host.shell import Completed, Shell

UP_DEADLINE_S = 900.0
"""Compose waits inside for services that others depend on."""

_CONFIG_DEADLINE_S = 60.0
_FAULTS_SHOWN = 30
_PRINTED = (["done resolved"], ["done kept"])
_HINTS = {
    "E_COMPOSE_MISSING": "install the compose plugin there: docker-compose-plugin, or docker-compose of Debian 13",
    "E_COMPOSE_OLD": "compose v1 has been out of support since 2023: install the v2 plugin, docker-compose-plugin",
    "E_COMPOSE_FILE": "try it there or here: docker compose config",
    "E_COMPOSE_UP": "look at its services with reconcile status, or on the host with docker ps -a",
}


class HostCompose:
    """Call the compose of one host.

    Args:
        shell: the connection's own, since its lock must fence the change.
        base_dir: absolute and canonical.
        socket: of the engine that compose is to use.
        is_held: tells whether that lock is still ours; without it nothing is sent.
    """

    def __init__(self, shell: Shell, *, base_dir: str, socket: str, is_held: Callable[[], bool]) -> None:
        self._shell = shell
        self._base_dir = base_dir
        self._socket = socket
        self._is_held = is_held

    async def judge(self, effect: JudgeCompose) -> Outcome:
        """Resolve a staged file, keep what it came to, and see that the policy allows all that it asks for."""
        model = await self._model("compose_config", effect.file, effect.project)
        return model if isinstance(model, NotDone) else Done()

    async def bring_up(self, effect: UpCompose, engine: Engine) -> Outcome:
        """Judge again what was kept, pull what is missing, and let compose make what differs."""
        project = effect.project
        model = await self._model("compose_model", effect.file, project)
        if isinstance(model, NotDone):
            return model
        doubt = await self._doubt_sources(model, effect.file)
        if doubt is not None:
            return doubt
        for image in images_of(model):
            pulled = await pull_image(engine, PullImage(image))
            if not isinstance(pulled, Done):
                return pulled
        content = msgspec.json.encode(ours(model, project))
        done = await self._run(
            "compose_up",
            (*self._args(project), str(len(content))),
            stdin=content,
            deadline_s=UP_DEADLINE_S,
        )
        if isinstance(done, NotDone | Unknown):
            return done
        outcome = _hinted(read_answer(done, host=self._shell.host, what=effect.file))
        return await self._read_back(project, engine) if isinstance(outcome, Done) else outcome

    async def _read_back(self, project: Project, engine: Engine) -> Outcome:
        """See that every service has its one container, provably ours."""
        for service in project.services:
            name = composed_name(DerivedName(project.fleet, project.sandbox, service), SERVICES)
            seen = await engine.find(name)
            why = "it is not there"
            if seen is not None:
                why = doubt_container(seen, await engine.image(seen.image_id), uid=project.uid) or ""
            if why:
                message = (
                    f"host {self._shell.host}: compose brought up {service}, and {name} is not as it should be: {why}"
                )
                return NotDone("E_READBACK", message, "look at it there, then apply again")
        return Done()

    async def _model(self, script: str, file: str, project: Project) -> Model | NotDone:
        """Let a script print what a file came to, and judge that."""
        args = (*self._args(project), file)
        done = await self._run(script, args, deadline_s=_CONFIG_DEADLINE_S)
        if isinstance(done, NotDone | Unknown):
            return undone(done)
        lines = done.lines
        if done.exit_status != 0 or lines[:1] not in _PRINTED or lines[-1:] != ["END"]:
            refused = _hinted(read_answer(done, host=self._shell.host, what=file))
            if isinstance(refused, Done):
                return NotDone(
                    "E_HOST_REPLY", f"host {self._shell.host}: {file}: compose resolved nothing", "apply again"
                )
            return undone(refused)
        try:
            model = msgspec.json.decode("\n".join(lines[1:-1]), type=dict[str, Any])
        except msgspec.DecodeError as error:
            return NotDone("E_COMPOSE_FILE", f"{file}: compose printed what is no JSON: {printable(str(error))}")
        model = in_place(model, project)
        faults = judge(model, project)
        if faults:
            more = f"; and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
            told = "; ".join(printable(fault) for fault in faults[:_FAULTS_SHOWN])
            return NotDone(
                "E_POLICY_COMPOSE", f"{file}: {told}{more}", "take it out, or let the Fleet's policy allow it"
            )
        return model

    async def _doubt_sources(self, model: Model, file: str) -> NotDone | None:
        """Refuse a mount that is reached through a link: the policy judged its path, not where that leads.

        Raises as `ask_sources`; nothing was sent.
        """
        mounts = [mount for one in model["services"].values() for mount in one.get("volumes") or ()]
        sources = sorted({str(mount["source"]) for mount in mounts if mount.get("type") == "bind"})
        if not sources:
            return None
        said = await ask_sources(self._shell, sources)
        wrong = next((source for source, word in said.items() if word != "same"), None)
        if wrong is None:
            return None
        return NotDone("E_POLICY_COMPOSE", f"{file}: {wrong} is a symbolic link, or cannot be looked at", REAL_HINT)

    def _args(self, project: Project) -> tuple[str, ...]:
        spot = find_spot(project.folder, root=project.base_dir)
        below = "" if isinstance(spot, NotDone) else spot.whole
        return project.base_dir, below, "own", self._socket, project.name

    async def _run(
        self, script: str, args: tuple[str, ...], *, deadline_s: float, stdin: bytes = b""
    ) -> Completed | NotDone | Unknown:
        shared = "" if script == "compose_model" else load_script("compose")
        text = load_script("anchor") + shared + load_script(script)
        sending = self._shell.run(text, args=args, stdin=stdin, deadline_s=deadline_s)
        return await run_held(sending, host=self._shell.host, is_held=self._is_held)


def _hinted(outcome: Outcome) -> Outcome:
    if isinstance(outcome, NotDone) and outcome.hint is None:
        return msgspec.structs.replace(outcome, hint=_HINTS.get(outcome.code))
    return outcome
