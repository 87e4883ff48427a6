"""The version of this package: for setup.cfg, which reads it without importing, and for what says it to servers."""

__version__ = "0.1.0"
