"""Give the tests of faults the drivers and hosts of the end-to-end tests; a host that is broken is a test's own."""

import pytest

from tests.e2e.conftest import alpha, bare, beta, driver, fleet, stocked_hosts
from tests.lab.host import LabHost

__all__ = ["alpha", "bare", "beta", "driver", "fleet", "stocked_hosts"]

pytest.register_assert_rewrite("tests.integration.faults.reference", "tests.integration.faults.entry")


@pytest.fixture
def lab(alpha: LabHost) -> LabHost:
    """Give the host that a `subject` is on."""
    return alpha
