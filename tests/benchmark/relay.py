"""Measures the relay: what it costs who publishes, how fast workers deliver, what they weigh before a long stream.

    python tests/benchmark/relay.py [--events 100000] [--waiting 1000000]

Needs redis-server. Run as a script with a URL, this is a worker that delivers into memory.
"""

import argparse
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import table
from competitors import HERE  # noqa: F401 - the directory of the tests is on the path from here on

_EXECUTORS = 1000
_BATCH = 2000  # events that are published in one go
