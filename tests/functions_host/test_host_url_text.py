import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.functions_host.url_text import decode_path, encode_path, read_query


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("/a%20b", "/a b"),
        ("/a+b", "/a+b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2fb"),
        ("/a%252Fb", "/a%2Fb"),
        ("/%E2%82%AC", "/€"),
        ("/%FF", "/%FF"),
        ("/%E2%82x", "/%E2%82x"),
        ("/a%", "/a%"),
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/../../a", "/a"),
        ("/..%2Fecho", "/..%2Fecho"),
        ("/a.b/.c", "/a.b/.c"),
    ],
)
def test_a_path_is_decoded_but_for_slashes_and_what_is_not_utf8(raw, decoded):
    assert decode_path(raw) == decoded


@pytest.mark.parametrize(
    ("path", "encoded"),
    [("/a b", "/a%20b"), ("/a+b:c@d;e=f", "/a+b:c@d;e=f"), ("/a%b", "/a%25b"), ("/a?é", "/a%3F%C3%A9")],
)
def test_a_path_is_written_as_the_vendors_server_writes_it(path, encoded):
    assert encode_path(path) == encoded


@given(st.text(st.characters(exclude_characters="%./", exclude_categories=("Cs",))))
def test_decoding_undoes_encoding(text):
    assert decode_path("/" + encode_path(text)) == "/" + text


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("a=1&a=2", {"a": "1,2"}),
        ("a=1&A=2", {"A": "1,2"}),
        ("a=&b&c=3", {"c": "3"}),
        ("a=x+y&b=x%20y", {"a": "x y", "b": "x y"}),
        ("a=b=c", {"a": "b=c"}),
        ("a%26b=1", {"a&b": "1"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a=%2F%2f", {"a": "//"}),
        ("", {}),
        ("&&", {}),
    ],
)
def test_a_query_is_read_as_functions_see_it(query, read):
    assert read_query(query) == read
