"""Specifies and computes runs: single detectors, ensembles, whole matrices, scores of other frameworks.

In: a run specification. Out: a finished run's folder with its card and scores. May import: engine and below.
"""
