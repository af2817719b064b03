"""Give the tests of parity the same drivers and hosts as the end-to-end tests."""

from tests.e2e.conftest import alpha, bare, beta, driver, fleet, stocked_hosts

__all__ = ["alpha", "bare", "beta", "driver", "fleet", "stocked_hosts"]
