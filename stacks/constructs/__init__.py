"""The parts of a stack, one construct a module."""
