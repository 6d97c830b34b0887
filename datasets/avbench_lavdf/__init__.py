"""LAV-DF (Cai et al., DICTA 2022): VoxCeleb2 videos with single words replaced in sound, picture or both."""
