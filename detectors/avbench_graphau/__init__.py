"""Pre-training of ME-GraphAU, the encoder of facial action units; the README has every detail."""
