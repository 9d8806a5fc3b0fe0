"""Which process runs which test."""

from xdist.scheduler import LoadScopeScheduling


class OneForTheWorkflow(LoadScopeScheduling):
    """The workflow's tests share one run of the tiny cohort, so one process has them all, from the start; every other
    test goes to whoever is free. (The mark xdist_group has no effect with pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return "workflow" if nodeid.startswith("tests/workflow/") else nodeid


def pytest_xdist_make_scheduler(config, log):
    return OneForTheWorkflow(config, log)
