"""Perturbations at levels 0 to 5: which are asked for, and what they make of a video.

In: a file, the place of a clip in it, and conditions. Out: the clip as it is and under them (`OpenClip`). May import:
media, plugins and below.
"""
