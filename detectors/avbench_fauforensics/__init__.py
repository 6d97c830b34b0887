"""FauForensics: deepfake detection guided by facial action units; the README has every detail."""
