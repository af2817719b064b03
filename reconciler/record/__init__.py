"""Remember: fold what happened into status, and keep it on disk.

Invariant: the only room that writes the status folder. `fold` is pure; the store writes each file whole or not at all.
A status is a cache of what the hosts say: with the folder gone, the next plan adopts everything and changes nothing.
"""
