"""Give the tests of security the drivers and hosts of the end-to-end tests, and the files of the integration tests."""

from tests.e2e.conftest import alpha, bare, beta, driver, fleet, stocked_hosts
from tests.integration.conftest import rig

__all__ = ["alpha", "bare", "beta", "driver", "fleet", "rig", "stocked_hosts"]
