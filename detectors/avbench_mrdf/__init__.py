"""MRDF: cross-modality and within-modality regularisation of an audio-visual speech encoder."""
