"""FakeAVCeleb (Khalid et al., NeurIPS 2021): 500 celebrities with forged faces, forged voices, or both."""
