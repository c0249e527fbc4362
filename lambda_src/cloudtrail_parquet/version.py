"""The version of the program; everything else that names it reads it here."""

__version__ = "0.1.0"
