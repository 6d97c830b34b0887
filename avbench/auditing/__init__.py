"""What a database or protocol gives away before any training: leaks, shortcuts, imbalance.

In: the lists of a protocol. Out: verdicts with reasons. May import: bench and below, not report or analysis.
"""
