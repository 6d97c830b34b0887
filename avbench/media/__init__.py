"""A file becomes the pictures and the sound of one clip, aligned by presentation time.

In: a path and a ClipSpec. Out: a Clip or a MediaError. May import: the ground, records.
"""
