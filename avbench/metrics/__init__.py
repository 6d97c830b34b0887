"""Scores become numbers with intervals; nothing here knows a model, a tensor or a video file.

In: a scores table. Out: what a card says of it. May import: perturb's conditions, plugins and below; never torch or av.
"""
