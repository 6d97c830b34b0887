"""RawGAT-ST: spoofed speech from the raw wave by spectro-temporal graph attention; the README has every detail."""
