"""The two score ensembles of arXiv 2505.08294, Table I."""
