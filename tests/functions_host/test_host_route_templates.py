import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.functions_host.route_templates import BadTemplate, parse_template


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("things/{id}", "things/7", {"id": "7"}),
        ("things/{id}", "THINGS/Seven", {"id": "Seven"}),
        ("things/{id}", "things/7/", {"id": "7"}),
        ("things/{id}", "things", None),
        ("things/{id}", "things/", None),
        ("things/{id}", "things//", None),
        ("things/{id}", "things/7/8", None),
        ("pairs/{a}/{b}", "pairs//b", None),
        ("echo", "echo/", {}),
        ("echo", "echo//", None),
        ("greet/{name?}", "greet", {}),
        ("greet/{name?}", "greet/ann", {"name": "ann"}),
        ("page/{size=10}", "page", {"size": "10"}),
        ("page/{size=10}", "page/20", {"size": "20"}),
        ("tree/{*rest}", "tree", {}),
        ("tree/{*rest}", "tree/", {}),
        ("tree/{*rest}", "tree/a//b/", {"rest": "a//b/"}),
        ("tree/{**rest}", "tree/a/b", {"rest": "a/b"}),
        ("items/{id}:stop", "items/a:b:STOP", {"id": "a:b"}),
        ("items/{id}:stop", "items/:stop", None),
        ("files/{name}.{ext?}", "files/readme", {"name": "readme"}),
        ("files/{name}.{ext?}", "files/a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("a{{b}}/{x}", "a{b}/1", {"x": "1"}),
        ("v1.0/openapi.json", "v1.0/openapi.json", {}),
        ("v1.0/openapi.json", "v1x0/openapi.json", None),
    ],
)
def test_a_path_is_matched_as_the_template_says(template, path, values):
    assert parse_template(template).match(path) == values


@pytest.mark.parametrize(
    ("constraint", "fitting", "refused"),
    [
        ("int", ["12", "-3", "007"], ["twelve", "99999999999", "1.5"]),
        ("long", ["99999999999"], ["99999999999999999999"]),
        ("bool", ["true", "False"], ["1", "yes"]),
        ("guid", ["0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5bd9cb469fa16570867728950e"], ["no-guid"]),
        ("alpha", ["abc", "ABC"], ["ab1"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(5)", ["5", "60"], ["4", "x"]),
        ("max(5)", ["5", "-1"], ["6", "x"]),
        ("range(1,5)", ["1", "5"], ["0", "6", "x"]),
        ("datetime", ["2026-11-21", "2026-11-21T10:00:00"], ["soon"]),
        ("decimal", ["1.5", "-2"], ["1.5e3", "x"]),
        ("double", ["1.5e3", ".5"], ["x"]),
        (r"regex(^\d{{3}}$)", ["123"], ["12", "1234"]),
        ("file", ["a.txt"], ["a"]),
        ("nonfile", ["a"], ["a.txt"]),
        ("int:range(1,5)", ["3"], ["9", "x"]),
    ],
)
def test_a_constraint_lets_through_what_it_names_and_nothing_else(constraint, fitting, refused):
    template = parse_template(f"x/{{v:{constraint}}}")

    assert [template.match(f"x/{value}") for value in fitting] == [{"v": value} for value in fitting]
    assert [template.match(f"x/{value}") for value in refused] == [None] * len(refused)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("a/{id", "closing"),
        ("a/{*rest}/b", "last"),
        ("a/{x}{y}", "between"),
        ("a/{x}/{X}", "twice"),
        ("a/{x:unheard}", "unheard"),
        ("a/{x:range(1)}", "range"),
        ("a//b", "empty"),
        ("a/}", "brace"),
        ("a/{}", "not a parameter"),
    ],
)
def test_a_bad_template_is_refused_with_the_reason(template, says):
    with pytest.raises(BadTemplate, match=says):
        parse_template(template)


segments = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_.:@"), min_size=1, max_size=8)


@given(st.lists(segments, min_size=1, max_size=4))
def test_parameters_give_back_the_segments_of_the_path(values):
    template = parse_template("/".join(f"{{p{number}}}" for number in range(len(values))))

    assert template.match("/".join(values)) == {f"p{number}": value for number, value in enumerate(values)}
