"""What a trained detector sees in the clips it judges: the analysis figures of the FauForensics paper, for any run."""
