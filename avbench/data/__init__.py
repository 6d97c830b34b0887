"""Databases become samples, splits, clip requests and batches, loaded by worker processes.

In: a protocol and folders. Out: lists of samples, batches of clips. May import: perturb, media, plugins and below.
"""
