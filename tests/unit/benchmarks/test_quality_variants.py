"""Sets of parameters to compare."""

import click
import pytest

from benchmarks.quality.variants import Variant, parse


def test_variants_have_names_and_parameters() -> None:
    assert parse('default={} ; no mirror={"mirror": false};long = {"epochs": 40, "x": ";"}') == [
        Variant("default", {}),
        Variant("no mirror", {"mirror": False}),
        Variant("long", {"epochs": 40, "x": ";"}),
    ]


def test_without_variants_there_is_one_with_the_defaults() -> None:
    assert parse(" ") == [Variant("default", {})]


@pytest.mark.parametrize("text", ["default", "a=", "={}", 'a={"b": }', "a=[1]", "a/b={}", "a={} b", "..={}"])
def test_anything_else_is_an_error_that_shows_an_example(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"expected default=\{\}"):
        parse(text)


def test_a_name_occurs_once() -> None:
    with pytest.raises(click.UsageError, match="each name may occur once"):
        parse("a={};a={}")
