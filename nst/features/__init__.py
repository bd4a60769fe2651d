"""The network: a picture in, the activations of named layers out (VGG of Simonyan & Zisserman 2014)."""
