"""The commands about what a dataset holds already."""
