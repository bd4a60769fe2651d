"""How a run minimises J over the pixels: L-BFGS and Adam in the box [0, 1]."""
