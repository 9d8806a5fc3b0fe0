"""What every rule's script does around its one call: log file, progress, and errors that speak."""

import logging
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pseudocohort.errors import InputError


@contextmanager
def logged(log_path: str) -> Iterator[logging.Logger]:
    """Send the library's log (logger `pseudocohort`) to the rule's log file, with times since the start.

    An InputError is printed to the terminal as its message alone and ends the job with status 1;
    tracebacks, of this and of any other error, go to the log file.
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
    except Exception:
        log.error("%s", traceback.format_exc())
        raise
    finally:
        log.removeHandler(handler)
        handler.close()
