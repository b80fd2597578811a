import io
import json
import logging
import re

import pytest

from localcloud.functions_host.invocation import Invocation, current_invocation
from localcloud.functions_host.log_formats import LogStyle, formatter_for, style_for
from localcloud.functions_host.log_lines import apply_log_levels


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "as_json", "style"),
    [
        (Terminal(), {}, False, LogStyle.COLOURED),
        (Terminal(), {"NO_COLOR": "1"}, False, LogStyle.PLAIN),
        (Terminal(), {"NO_COLOR": ""}, False, LogStyle.COLOURED),
        (Terminal(), {"TERM": "dumb"}, False, LogStyle.PLAIN),
        (io.StringIO(), {}, False, LogStyle.PLAIN),
        (Terminal(), {}, True, LogStyle.JSON),
        (io.StringIO(), {"NO_COLOR": "1"}, True, LogStyle.JSON),
    ],
)
def test_colours_are_for_terminals_that_want_them(stream, environ, as_json, style):
    assert style_for(stream, environ, as_json=as_json) is style


@pytest.fixture
def in_a_call():
    token = current_invocation.set(Invocation(id="0123456789abcdef", function_name="story", instance_id="i-1"))
    yield
    current_invocation.reset(token)


def line(style, *, level=logging.INFO, message="said %s", args=("a\nb",), error=None):
    exc_info = (type(error), error, error.__traceback__) if error else None
    return formatter_for(style).format(logging.LogRecord("host.x", level, __file__, 1, message, args, exc_info))


@pytest.mark.parametrize("style", [LogStyle.PLAIN, LogStyle.COLOURED])
def test_a_line_tells_time_level_function_call_and_instance_and_is_one_line(style, in_a_call):
    text = line(style)

    assert "\n" not in text
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert re.fullmatch(r"[-\dT:.]+Z? INFO    story 01234567 \[i-1\] said a\\nb", bare)
    assert (bare == text) is (style is LogStyle.PLAIN)


def test_outside_of_a_call_the_logger_is_named():
    assert line(LogStyle.PLAIN).endswith("INFO    host.x said a\\nb")


def test_a_json_line_holds_the_same_as_fields(in_a_call):
    told = json.loads(line(LogStyle.JSON, level=logging.WARNING))

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {
        "level": "warning",
        "logger": "host.x",
        "message": "said a\nb",
        "function": "story",
        "invocation": "0123456789abcdef",
        "instance": "i-1",
    }


def test_a_json_line_outside_of_a_call_has_no_fields_of_one():
    assert set(json.loads(line(LogStyle.JSON))) == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("style", list(LogStyle))
def test_an_exception_is_told_in_the_same_line(style):
    try:
        raise ValueError("wrong")
    except ValueError as error:
        text = line(style, level=logging.ERROR, error=error)

    assert "\n" not in text
    assert "ValueError: wrong at test_host_logs.py" in text


@pytest.fixture
def _levels_as_they_were():
    loggers = [logging.getLogger(name) for name in ("", "host", "localcloud.durable")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("_levels_as_they_were")
def test_verbose_wins_over_the_levels_of_host_json():
    levels = {"default": "Warning", "Function": "Error", "Host.Triggers.DurableTask": "Warning"}

    apply_log_levels(levels)
    quiet = logging.getLogger("host.timers").isEnabledFor(logging.INFO)
    apply_log_levels(levels, is_verbose=True)

    assert not quiet
    assert logging.getLogger("host.timers").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("localcloud.durable.engine").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("of.the.app").isEnabledFor(logging.INFO)
