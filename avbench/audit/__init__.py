"""What is wrong with data before anything is trained on them: leaks, shortcuts, imbalance, with a verdict for each."""
