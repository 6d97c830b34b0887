"""Trains a detector and scores clips with it.

In: a training plan or clip requests, and a detector. Out: weights, scores. May import: data, metrics and below.
"""
