"""The nouns of the house: frozen, pure, and the only thing that rooms on one floor share.

Invariant: no clock, no dice, no network, no disk. Every noun is a `msgspec.Struct`, so it is immutable, compares by
value, and travels through JSON and back unchanged.
"""
