"""Databases of real faces with coded action units: DISFA, DISFA+ and BP4D, in their official layouts."""
