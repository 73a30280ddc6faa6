"""The stages of the chain, one file each; names with an underscore are what they share."""
