"""Make the lab's real hosts, and processes with the command loaded, known to every test."""

pytest_plugins = ["tests.lab.fixtures", "tests.e2e.warm"]
