"""Repeat-factor sampling: images with rare classes are shown more often."""

import pytest

from vott_trainer.data.repeat_factors import Oversampled, repeat_factors


def test_images_with_a_rare_class_are_repeated() -> None:
    classes = [["cat"]] * 96 + [["cat", "lynx"]] * 4
    factors = repeat_factors(classes, rare=0.16)
    assert factors[:96] == [1.0] * 96
    assert factors[96:] == pytest.approx([2.0] * 4)
    shown = Oversampled(range(100), factors)
    assert len(shown) == 104
    assert [list(shown).count(number) for number in (0, 95, 96, 99)] == [1, 1, 2, 2]


def test_classes_of_equal_frequency_are_not_rare() -> None:
    assert repeat_factors([[str(number)] for number in range(80)]) == [1.0] * 80


def test_single_image_of_a_class_is_not_shown_all_the_time() -> None:
    assert max(repeat_factors([["cat"]] * 9_999 + [["cta"]])) == 4.0


def test_fractions_add_up() -> None:
    shown = Oversampled("abcdefgh", [1.5] * 8)
    assert len(shown) == 12
    assert set(shown) == set("abcdefgh")


def test_nothing_is_repeated_if_no_class_is_rare() -> None:
    assert repeat_factors([["cat"], ["dog"], [], ["cat", "dog"]]) == [1.0] * 4
    assert list(Oversampled("abc", [1.0] * 3)) == list("abc")
