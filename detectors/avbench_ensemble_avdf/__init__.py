"""EnsembleAVDF (approximation): networks of pictures, of sound and of both, trained apart, and a vote."""
