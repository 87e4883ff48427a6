"""What faulthandler wrote of a program, in the order in which people read it."""

import re

FATAL = "Fatal Python error:"
"""How it begins when the process crashes. What it writes when it is asked for the stacks begins otherwise."""

_THREAD = re.compile(r"(?m)^(?=(?:Current thread|Thread) 0x)")
_CURRENT = "Current thread "
_OURS = re.compile(r'File "[^"\n]*[/\\]notify[/\\]threads\.py", line \d+ in run\b')
_NOT_MAIN = re.compile(r'File "[^"\n]*threading\.py", line \d+ in _bootstrap\b')


def of_crash(text: str) -> str:
    """Return the part of *text* that was written when the process crashed, the last one; empty when there is none."""
    at = text.rfind(FATAL)
    return text[at:].strip() if at >= 0 else ""


def crashed_thread(trace: str) -> str:
    """Return of a crash what it was and the stack of the thread that caused it; of the main one if nobody says which.

    All of *trace* when it names no threads.
    """
    head, threads = _split(trace)
    if not threads:
        return trace
    current = next((thread for thread in threads if thread.startswith(_CURRENT)), None)
    return f"{head}\n\n{current or _main_first(threads)[0]}".strip()


def program_threads(stacks: str) -> str:
    """Return the stacks of the program's own threads, the main one first. Those that this package starts are no help.

    All of *stacks* when it names no threads, or none but ours.
    """
    head, threads = _split(stacks)
    shown = [thread for thread in threads if not _OURS.search(thread)]
    return "\n\n".join(filter(None, (head, *_main_first(shown)))) if shown else stacks


def _split(trace: str) -> tuple[str, list[str]]:
    """Return what stands before the first thread, and each thread without what stands behind its stack."""
    head, *threads = _THREAD.split(trace)
    return head.strip(), [thread.partition("\n\n")[0].strip() for thread in threads]


def _main_first(threads: list[str]) -> list[str]:
    # Python lists threads from the newest to the oldest, and others than the main one begin in threading.py.
    main = [thread for thread in threads if not _NOT_MAIN.search(thread)][-1:]
    return main + [thread for thread in threads if thread not in main]
