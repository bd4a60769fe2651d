"""Activations, style matrices and patches of pictures: the computations behind the page's second tab."""
