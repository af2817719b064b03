"""Send telemetry where it is wanted: local files, a State Hub, a Prometheus textfile, or what others bring.

Front doors: `open_sinks`, then `send`. Invariant: a sink that is down neither fails nor delays a pass. What it did not
take is kept on disk, in order and within bounds, and said. Delivery is at least once: `Envelope.id` tells a repeat.
"""

from reconciler.sink.history import FileSink
from reconciler.sink.hub import HubSink
from reconciler.sink.interface import BatchSink, NotDelivered, Sink
from reconciler.sink.opening import DownSink, OtherSink, SinkConfig, open_sinks
from reconciler.sink.sending import send
from reconciler.sink.textfile import TextfileSink

__all__ = [
    "BatchSink",
    "DownSink",
    "FileSink",
    "HubSink",
    "NotDelivered",
    "OtherSink",
    "Sink",
    "SinkConfig",
    "TextfileSink",
    "open_sinks",
    "send",
]
