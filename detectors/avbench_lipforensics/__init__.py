"""LipForensics: forgeries betrayed by how mouths move; the README has every detail."""
