"""What RawGAT-ST, AASIST and SSLAS have in common: the raw sound they hear, what they declare, how they learn."""
