"""When a place counts as a point, and by which key an equal place is found."""

import pytest

from civicpulse.rules.placement import is_point, key_of_place


@pytest.mark.parametrize(
    ("quality", "finds_duplicates", "counts"),
    [
        (None, True, True),
        (None, False, True),
        ("house", True, True),
        ("house", False, True),
        ("town", True, False),
        ("town", False, True),
        ("region", True, False),
        ("region", False, False),
        ("none", False, False),
    ],
)
def test_a_measured_point_and_a_house_count_and_the_middle_of_a_town_only_on_the_map(
    quality: str | None, finds_duplicates: bool, counts: bool
) -> None:
    assert is_point(quality, has_degrees=True, finds_duplicates=finds_duplicates) is counts
    assert is_point(quality, has_degrees=False, finds_duplicates=finds_duplicates) is False


@pytest.mark.parametrize("quality", [None, "house", "none"])
def test_a_place_may_be_known_by_its_name(quality: str | None) -> None:
    assert key_of_place(quality, "Hartwell Library, 2nd floor") is not None


@pytest.mark.parametrize("quality", ["town", "region"])
def test_the_name_of_a_town_is_no_place_but_a_house_in_it_is(quality: str) -> None:
    assert key_of_place(quality, "Springfield Heights") is None
    assert key_of_place(quality, "15 Main St, Springfield") is not None


@pytest.mark.parametrize("quality", [None, "town"])
def test_without_words_there_is_no_key(quality: str | None) -> None:
    assert key_of_place(quality, None) is None
