"""SSLAS: spoofed speech from a self-supervised encoder and graph attention; the README has every detail."""
