"""RealForensics: what real talking faces teach about forged ones; the README has every detail."""
