"""AASIST: spoofed speech from the raw wave by heterogeneous graph attention; the README has every detail."""
