"""A network learns frame-level truth before detectors use it: from the request to the card and the encoder's file.

In: a network's declaration, a dataset with annotations. Out: results/pretrainings/<id>. May import: engine and below.
"""
