"""The flight recorder and pager of a long-running Python daemon."""

__version__ = "0.1.0"
