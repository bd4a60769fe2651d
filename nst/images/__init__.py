"""Pictures in and out: decode, scale, recolour, mask and encode them."""
