"""Fixtures of the scenario tests: factories for gateways, simulated and recorded providers.

What a factory made is closed when its test (or, for the shared_* ones, its module) is over, and closing
asserts: a clean end, no sanitizer report, no secret in any log. See lib/__init__.py for what there is.

    OPENCLAW_BIN        the binary; default build/openclaw
    OPENCLAW_SHARED     the folder with recorded traffic; default beside the project
    OPENCLAW_NODE_DIR   folder with node_modules and the scripts of node/
    OPENCLAW_NIGHTLY    folder with the large clients; where it is not set, tests marked `nightly` are left out
    OPENCLAW_SOAK       how long test_soak.py lasts, such as 30m; default half a minute
"""
import contextlib
import faulthandler
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lib import process                                      # noqa: E402
from lib.gateway import Gateway                              # noqa: E402
from lib.mock import Mock                                    # noqa: E402
from lib.names import NameServer                             # noqa: E402
from lib.postgres import Postgres                            # noqa: E402
from lib.replay import FixtureServer                         # noqa: E402
from lib.upstream import RawUpstream                         # noqa: E402

HUNG = 600    # seconds; the longest test takes one minute, five under sanitizers


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs ends its pytest process, which is reported as a failure of this test, instead of
    holding the suite for ever. Where it hung is in hung-tests.txt beside the results (tools/test.sh shows it)."""
    with open(os.environ.get("OPENCLAW_HUNG_TESTS", os.devnull), "a", encoding="utf-8") as file:
        faulthandler.dump_traceback_later(HUNG + process.SOAK, exit=True, file=file)
        yield
        faulthandler.cancel_dump_traceback_later()


class Makers:
    """Makes things and closes them, the last one first; every one is closed even when one complains."""

    def __init__(self, base):
        self.base = base
        self.count = 0
        self.stack = contextlib.ExitStack()

    def _directory(self, name):
        self.count += 1
        path = self.base / f"{name}-{self.count}"
        path.mkdir()
        return path

    def _keep(self, thing):
        self.stack.callback(thing.close)
        return thing

    def gateway(self, config=None, **options):
        """A Gateway; see there. None: zero files."""
        return self._keep(Gateway(config, self._directory("gateway"), **options))

    def mock(self, *args, **options):
        return self._keep(Mock(self._directory("mock"), args, **options))

    def upstream(self, handler, **options):
        return self._keep(RawUpstream(handler, **options))

    def postgres(self):
        return self._keep(Postgres())

    def name_server(self, **names):
        return self._keep(NameServer(**names))

    def fixture_server(self, **options):
        return self._keep(FixtureServer(**options))


@pytest.fixture
def make(tmp_path):
    """make.gateway(config), make.mock(...), make.upstream(handler), make.fixture_server()."""
    makers = Makers(tmp_path)
    with makers.stack:
        yield makers


@pytest.fixture(scope="module")
def make_shared(tmp_path_factory):
    """As `make`, for all the tests of a module."""
    makers = Makers(tmp_path_factory.mktemp("shared"))
    with makers.stack:
        yield makers


@pytest.fixture(scope="session")
def sanitized():
    """Is the binary a sanitizer's? Whoever asks expects something else of the ordinary one."""
    return process.SANITIZED


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: what it finds in the ordinary binary a sanitized one cannot show")
    config.addinivalue_line("markers", "nightly: needs clients that are large; only ./dev test nightly installs them")


def pytest_collection_modifyitems(config, items):
    """`./dev test` runs every test sanitized, and these plain too, but not the `nightly` ones: see tools/test.sh."""
    if not os.environ.get("OPENCLAW_NIGHTLY"):
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if "sanitized" in item.fixturenames:
            item.add_marker("plain")


@pytest.fixture(scope="session", autouse=True)
def the_binary_is_there():
    assert pathlib.Path(process.BIN).exists(), f"{process.BIN} is not there: run ./dev build, or set OPENCLAW_BIN"
