"""Pre-training of small CSN and Whisper encoders, which demo presets start from; the README has every detail."""
