"""Run a real node exporter and a real Prometheus on loopback, from Debian's packages, which are not installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from tests.lab import packages
from tests.lab.world import wait_until

EXPORTER, PROMETHEUS, LINT = "prometheus-node-exporter", "prometheus", "promtool"
NOBODY = "65534"
_SET = "monitoring"
_UP_S = 60


def program(name: str) -> Path:
    """Give the path of a program, fetched where it is not here yet. Errors: `LabMissing`."""
    folder = packages.cache_folder() / _SET
    if not packages._is_filled(folder):
        with packages._alone():
            if not packages._is_filled(folder):
                _fill(folder)
    return folder / "root/usr/bin" / name


def _fill(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "root").mkdir(parents=True)
    missing = packages._fetch(packages._suite("bookworm"), [PROMETHEUS, EXPORTER], folder / "root")
    stamp = folder / "filled.json.partial"
    stamp.write_text(json.dumps({"format": packages._FORMAT, "needs_libraries": missing}))
    stamp.rename(folder / "filled.json")


@contextmanager
def exporting(textfiles: Path, scratch: Path) -> Iterator[str]:
    """Let a node exporter, as a user without rights, read a folder; give its address. Ends with the block."""
    here = scratch / EXPORTER
    shutil.copy(program(EXPORTER), here)  # where it was unpacked, only we may look
    here.chmod(0o755)
    address = f"127.0.0.1:{_free_port()}"
    words = [str(here), f"--web.listen-address={address}", "--collector.disable-defaults"]
    words += ["--collector.textfile", f"--collector.textfile.directory={textfiles}"]
    drop = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    with _running(words, log=scratch / "exporter.log", drop=drop):
        wait_until(lambda: text_of(address) != "", timeout_s=_UP_S, what="the node exporter")
        yield address


@contextmanager
def scraping(target: str, scratch: Path) -> Iterator[str]:
    """Let a Prometheus scrape an exporter each second; give its address. Ends with the block."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [target]}]}],
    }
    (scratch / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    address = f"127.0.0.1:{_free_port()}"
    words = [str(program(PROMETHEUS)), f"--config.file={scratch}/prometheus.yml", f"--web.listen-address={address}"]
    words += [f"--storage.tsdb.path={scratch}/data", "--log.level=warn"]
    with _running(words, log=scratch / "prometheus.log"):
        wait_until(lambda: query(address, "up == 1") != [], timeout_s=_UP_S, what="the first scrape of Prometheus")
        yield address


def text_of(address: str) -> str:
    """Give what an exporter tells, or nothing while it is not up."""
    try:
        with urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except (URLError, ConnectionError):
        return ""


def query(address: str, expression: str) -> list[dict[str, Any]]:
    """Ask Prometheus; give each sample with its labels, or none while it is not up."""
    try:
        with urlopen(f"http://{address}/api/v1/query?query={quote(expression)}", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found
    except (URLError, ConnectionError):
        return []


def lint(text: str) -> str:
    """Give what Prometheus' own tool says against a text of metrics."""
    words = [str(program(LINT)), "check", "metrics"]
    done = subprocess.run(words, input=text.encode(), capture_output=True, check=False, timeout=60)
    return (done.stdout + done.stderr).decode() + (f"exit {done.returncode}" if done.returncode else "")


@contextmanager
def _running(words: list[str], *, log: Path, drop: list[str] | None = None) -> Iterator[None]:
    with log.open("wb") as out:
        # Should this process be killed, the kernel ends the child.
        alone = ["setpriv", "--pdeathsig", "KILL", *(drop or []), "--", *words]
        process = subprocess.Popen(alone, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=log.parent)
        try:
            yield
        except BaseException as error:
            error.add_note(log.read_text()[-2000:])
            raise
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
