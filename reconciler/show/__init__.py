"""Put what is known into words: text and tables for people, JSON for programs.

Invariant: pure. It prints nothing, reads no clock and no terminal; width, colour and `now` are arguments. Whatever came
from a host is escaped before it is shown to a person. Colour repeats what a word or a symbol says, and says nothing
alone.
"""
