# SPDX-License-Identifier: Apache-2.0
"""Programs that a command line needs; whole images that start through shells are in `image_cases`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.images.programs import MAX_TEXT, needed


@pytest.mark.parametrize(
    ("line", "programs"),
    [
        ([], []),
        (["app", "b"], ["app"]),
        (["sh", "-c", "app b; c && d"], ["sh", "c", "d"]),
        (["sh", "-xec", "app b; c && d"], ["sh", "c", "d"]),
        (["sh", "-c", "set -eu; app b; c"], ["sh", "set", "app", "c"]),
        (["busybox", "sh", "-c", "app"], ["busybox", "app"]),
        (["bash", "-o", "pipefail", "-c", "a | b >>log 2>&1 </dev/null"], ["bash", "a", "b"]),
        (["sh", "-c", "A=1 B='x y' exec env C=2 app d"], ["sh", "exec", "env", "app"]),
        (["sh", "-c", "a && b || c"], ["sh"]),
        (["sh", "-c", "(app)"], ["sh"]),
        (["sh", "-c", "echo $(app)"], ["sh"]),
        (["sh", "-c", '"app with blanks" x'], ["sh", "app with blanks"]),
        (["sh", "-c"], ["sh"]),
        (["sh", "-c", "app " * MAX_TEXT], ["sh"]),
        (["tini", "-s", "app", "--", "b"], ["tini", "b"]),
        (["env", "-i", "A=1"], ["env"]),
        (["env"] * 50, ["env"]),
    ],
)
def test_what_a_line_needs(line, programs):
    assert needed(line) == programs


@given(
    st.lists(st.one_of(st.sampled_from(["sh", "-c", "env", "--", "exec"]), st.text(max_size=40)), max_size=6)
)
def test_no_line_is_too_strange(line):
    assert needed(line)[:1] == line[:1]
