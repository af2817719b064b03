"""One file per piece of work."""

from collections.abc import Mapping

from tests.bench.row import Row
from tests.bench.rows.create import CREATE
from tests.bench.rows.heal import HEAL
from tests.bench.rows.look import LOOK_COLD, LOOK_WARM
from tests.bench.rows.nothing import NOTHING
from tests.bench.rows.planning import PLAN
from tests.bench.rows.start import START
from tests.bench.rows.validate import VALIDATE

ROWS: Mapping[str, Row] = {
    row.name: row for row in (LOOK_WARM, LOOK_COLD, CREATE, NOTHING, HEAL, PLAN, VALIDATE, START)
}
