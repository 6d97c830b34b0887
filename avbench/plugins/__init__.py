"""Finds plugins, published weights and what avbench itself registers.

In: entry points, files named by hand. Out: what they declare. May import: the ground, records.
"""
