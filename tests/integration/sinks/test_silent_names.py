"""A name server that is silent holds neither the sending up, nor the end of the program."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

SEND = """
import asyncio, sys
from pathlib import Path
from reconciler.sink import HubSink, open_sinks, send
from tests import builders as b
from tests.unit.sink.envelopes import a_provision
sinks = open_sinks([HubSink(url="http://hub.example.", workstream_id="ws")])
print(asyncio.run(send([a_provision(1)], sinks, spool=Path(sys.argv[1]), now=b.T0, limit_s=0.5)))
"""
"""Python waits at its end for every thread that asyncio asked, and the system asks a silent server for 10 s."""


def test_a_silent_name_server_holds_nobody_up(tmp_path: Path) -> None:
    silent = "127.0.0.77"
    with socket(AF_INET, SOCK_DGRAM) as server:
        server.bind((silent, 53))
        (tmp_path / "resolv.conf").write_text(f"nameserver {silent}\n")
        # In a mount namespace of its own: nobody else sees these files.
        script = (
            f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && "
            f"echo 'hosts: dns' > {tmp_path}/nsswitch.conf && "
            f"mount --bind {tmp_path}/nsswitch.conf /etc/nsswitch.conf && "
            'exec "$@"'
        )
        began_s = time.monotonic()
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", SEND, str(tmp_path / "spool")],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        took_s = time.monotonic() - began_s
        server.setblocking(False)
        assert b"example" in server.recv(4096), "or nobody was asked, and it proves nothing"
    assert "1 envelope is kept since 2025-06-01 12:01:00 UTC: it did not answer within 0.5 s" in done.stdout
    assert took_s < 8, "as long as the system would go on asking"
