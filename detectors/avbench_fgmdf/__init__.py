"""FGMDF: pictures and sound as graphs of moments that listen to each other; the README has every detail."""
