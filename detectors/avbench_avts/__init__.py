"""AVTS: hears and sees abnormality after learning from real clips which moments belong together; see the README."""
