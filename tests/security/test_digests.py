"""S21: what is planned and recorded does not depend on a secret's value, so no guess can be tried on it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reconciler.model.digest import canonical_json
from reconciler.model.resource import File
from reconciler.model.status import Statuses
from reconciler.model.text import Late, Template
from reconciler.record.fold import fold
from tests import builders as b
from tests.e2e.driver import Driver
from tests.security.canary import hatch
from tests.unit.load.bad_specs import host, sandbox
from tests.unit.plan.deciding import decide

SECRET = Template(("it is ", Late("secret:hub")))
FILE: File = b.a_file(content=SECRET)
HOLDERS = {
    "env": (b.a_container(env={"TOKEN": SECRET}),),
    "command": (b.a_container(command=("serve", SECRET)),),
    "a file": (FILE, b.a_container()),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_s21_plans_and_records_are_the_same_bytes_whatever_the_value(holder: str) -> None:
    one = b.a_sandbox(resources=HOLDERS[holder])
    desired = b.a_desired(one)
    written = set()
    for _ in range(2):
        made = decide(desired, b.a_view(), secrets={"secret:hub": hatch()})
        assert made.actions
        seen = b.an_observed({b.HOST: b.a_reachable(b.a_view())})
        statuses = fold(Statuses(), made, seen, None, b.T0, desired=desired)
        written.add(canonical_json(made) + msgspec.json.encode(statuses))
    assert len(written) == 1


def test_s21_a_secret_whose_file_is_lost_replaces_nothing(bare: Driver) -> None:
    kept = bare.folder / "key"
    bare.declare_fleet(secrets={"key": {"file": str(kept)}})
    bare.write("h.yaml", host(address="127.0.0.1"))
    bare.write("s.yaml", sandbox(container='image: web:1\n      env: {KEY: "${secret:key}"}'))
    for spoil in (lambda _: None, Path.touch, Path.mkdir):
        spoil(kept)
        for words in (("plan",), ("apply", "--yes"), ("destroy", "web", "--yes")):
            assert "E_SECRET_MISSING" in bare.run(*words).expect(1).stderr
        kept.unlink(missing_ok=True) if not kept.is_dir() else kept.rmdir()
    assert not bare.status.exists()
