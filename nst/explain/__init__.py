"""What the network sees in a picture, as numbers and patches: the engine of the page's second tab."""
