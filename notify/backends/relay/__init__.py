"""The relay, as programs see it: they publish to Redis what people are to read, and `notify relay` delivers it."""
