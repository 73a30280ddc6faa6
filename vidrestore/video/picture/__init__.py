"""Native samples: layouts, colour, chroma, and changes to them."""
