"""What a run's detector sees, and videos as perturbations make them.

In: a finished run or a video. Out: figures with their numbers, files. May import: bench and below, not report or audit.
"""
