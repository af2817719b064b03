"""Make the lab's real hosts known to every test."""

pytest_plugins = ["tests.lab.fixtures"]
