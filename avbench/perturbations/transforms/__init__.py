"""The perturbations that avbench brings along; plugin.py declares them, the other files compute them."""
