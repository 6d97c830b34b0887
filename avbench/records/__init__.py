"""The scores table, the card of a run, tables and suites as data, and how figures and pages look.

In: files and plain values. Out: tables, cards, styled figures and pages. May import: the ground.
"""
