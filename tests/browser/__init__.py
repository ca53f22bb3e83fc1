"""The real JupyterLab in a real browser."""

from importlib.util import find_spec

import pytest

from warmup_course.authoring.headless import find_chromium

in_chromium = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here: apt install chromium")
NEEDS = [
    pytest.mark.skipif(find_spec("playwright") is None, reason='playwright is missing: pip install -e ".[test]"'),
    in_chromium,
    pytest.mark.process,
]
