"""Reads finished runs: tables, figures, pages, MLflow.

In: cards and scores tables. Out: text, pictures, HTML. May import: bench and below, not audit or analysis.
"""
