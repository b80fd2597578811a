import pytest
from served_app import write_app

from localcloud.functions_host.app_host import check_triggers
from localcloud.functions_host.app_settings import SettingsError
from localcloud.functions_host.loading import load_app


def checked(tmp_path, *routes, prefix="api"):
    """An app with a function for each (name, route, methods)."""
    source = "\n".join(
        f"""
@app.function_name("{name}")
@app.route(route="{route}"{f", methods={methods!r}" if methods else ""})
def {name}(req: func.HttpRequest) -> str:
    return "{name}"
"""
        for name, route, methods in routes
    )
    loaded = load_app(write_app(tmp_path, source), {})
    assert loaded.trouble == ""
    return check_triggers(loaded.functions, prefix=prefix, environ={})


def name_of(app, method, path):
    found = app.routes.find(method, path)
    return found and found[0].function.name


def test_a_literal_is_preferred_to_a_constraint_and_that_to_a_free_parameter(tmp_path):
    app = checked(tmp_path, ("free", "t/{x}", []), ("number", "t/{x:int}", []), ("literal", "t/abc", []))

    assert [name_of(app, "GET", f"api/t/{word}") for word in ("abc", "7", "x")] == ["literal", "number", "free"]


def test_a_parameter_with_a_literal_behind_it_is_preferred_to_one_that_takes_all(tmp_path):
    app = checked(tmp_path, ("read", "items/{id}", []), ("stop", "items/{id}:stop", []))

    assert name_of(app, "POST", "api/items/7:stop") == "stop"
    assert name_of(app, "POST", "api/items/7") == "read"


def test_a_catch_all_is_preferred_to_every_other_route_under_the_same_prefix(tmp_path):
    app = checked(
        tmp_path, ("settings", "portal/settings", []), ("pages", "portal/{*path}", []), ("other", "other/settings", [])
    )

    assert name_of(app, "GET", "api/portal/settings") == "pages"
    assert name_of(app, "GET", "api/portal") == "pages"
    assert name_of(app, "GET", "api/other/settings") == "other"


def test_the_longer_of_two_routes_that_both_match_is_preferred(tmp_path):
    app = checked(
        tmp_path, ("home", "portal", []), ("pages", "portal/{*path}", []), ("page", "p", []), ("sub", "p/{x?}", [])
    )

    assert name_of(app, "GET", "api/portal") == "pages"
    assert name_of(app, "GET", "api/p") == "sub"


def test_a_wrong_verb_finds_nothing_and_other_functions_of_the_route_are_found_by_theirs(tmp_path):
    app = checked(tmp_path, ("get", "x", ["GET"]), ("post", "x", ["POST"]))

    assert [name_of(app, verb, "api/x") for verb in ("GET", "POST", "PUT", "HEAD")] == ["get", "post", None, None]


def test_two_functions_with_one_route_and_a_common_verb_leave_the_second_in_error(tmp_path):
    app = checked(tmp_path, ("first", "x", ["GET", "POST"]), ("second", "X", ["POST"]))

    assert name_of(app, "POST", "api/x") == "first"
    assert "function 'first'" in app.functions.named("second").trouble


def test_reserved_routes_leave_their_function_in_error(tmp_path):
    app = checked(tmp_path, ("mine", "admin/mine", []), ("longer", "Runtimes", []), ("good", "of/admin", []))

    assert "keeps for itself" in app.functions.named("mine").trouble
    assert "keeps for itself" in app.functions.named("longer").trouble
    assert name_of(app, "GET", "api/admin/mine") is None
    assert name_of(app, "GET", "api/of/admin") == "good"


def test_a_function_without_a_route_whose_name_begins_with_a_reserved_word_is_in_error(tmp_path):
    app = checked(tmp_path, ("administer", " ", []))

    assert "'administer'" in app.functions.named("administer").trouble


def test_a_slash_at_the_begin_of_a_route_is_right_only_without_a_prefix(tmp_path):
    app = checked(tmp_path / "without", ("any", "/{*rest}", []), prefix="")
    assert name_of(app, "GET", "x/y") == "any"

    with pytest.raises(SettingsError, match="without a slash at its beginning"):
        checked(tmp_path / "with", ("any", "/{*rest}", []), prefix="api")


def test_an_empty_prefix_and_a_route_that_begins_with_a_parameter(tmp_path):
    app = checked(tmp_path, ("any", "{a}/{b}", []), ("fixed", "x/y", []), prefix="")

    assert name_of(app, "GET", "x/y") == "fixed"
    assert name_of(app, "GET", "x/z") == "any"
    assert name_of(app, "GET", "x") is None
