"""Published encoders of video, faces and sound with their inputs and checkpoints; needs nothing of avbench."""
