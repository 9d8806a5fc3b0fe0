"""What every rule's script does around its one call: log file, progress, and errors that speak."""

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pseudocohort.errors import InputError

DEBUG = "PSEUDOCOHORT_DEBUG"


def without_message(error: BaseException) -> str:
    """Traceback and type of an error; libraries quote cells and ids in their messages."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    system = f": {os.strerror(error.errno)}" if isinstance(error, OSError) and error.errno else ""  # as a full disk
    return f"{frames}{type(error).__name__}{system} (message withheld, as it may quote data; {DEBUG}=1 shows it)"


@contextmanager
def logged(log_path: str) -> Iterator[logging.Logger]:
    """Send the library's log (logger `pseudocohort`) to the rule's log file, with times since the start.

    An InputError is printed to the terminal as its message alone and ends the job with status 1; its traceback
    goes to the log file. Of any other error both get the traceback without the message, which may quote a real
    person's values; the environment variable PSEUDOCOHORT_DEBUG=1 shows it.
    """
    log = logging.getLogger("pseudocohort")
    handler = logging.FileHandler(log_path, mode="w", encoding="utf-8")
    start = time.monotonic()
    handler.setFormatter(logging.Formatter("%(elapsed)s %(levelname)s %(message)s"))
    handler.addFilter(lambda r: setattr(r, "elapsed", f"{time.monotonic() - start:8.1f}s") or True)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield log
        log.info("done")
    except InputError as error:
        log.error("%s", traceback.format_exc())
        log.error("%s", error)
        print(f"\npseudocohort: {error}\n", file=sys.stderr, flush=True)
        sys.exit(1)
    except Exception as error:
        told = traceback.format_exc() if os.environ.get(DEBUG) == "1" else without_message(error)
        log.error("%s", told)
        print(told, file=sys.stderr, flush=True)
        sys.exit(1)
    finally:
        log.removeHandler(handler)
        handler.close()
