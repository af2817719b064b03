"""Measure what the reconciler costs beside what people would use instead: `make bench`.

Peers are fetched into `~/.cache/reconciler-bench` and run interleaved with ours, on the same throw-away hosts.
Ratios are of medians of one run. No test asserts a clock; what is measured where is in `rows/`.
"""
