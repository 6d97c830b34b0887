"""Two small talking-face data sets, rendered and synthesised on first use in the layouts of LAV-DF and FakeAVCeleb."""
