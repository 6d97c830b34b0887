"""AVD-DDL: pictures and sound that were not made for each other lie far apart; the README has every detail."""
