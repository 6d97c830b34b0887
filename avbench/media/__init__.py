"""A file becomes the pictures and the sound of one clip, aligned by presentation time.

In: a path, a ClipSpec and a place. Out: the Clip that its pictures and sound make, or a MediaError. May import: the
ground, records.
"""
