"""Perturbations at levels 0 to 5: which are asked for, and what they make of a video.

In: an opened video and a condition. Out: the clip under it. May import: media, plugins and below.
"""
