"""Finding the annotation file of a user's folder."""

from pathlib import Path

import click
import pytest

from benchmarks.quality.data_set import find, find_all


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("name", ["annotations.csv", "cats-export.json", "annotations/instances 1.json"])
def test_the_only_annotation_file_is_found(tmp_path: Path, name: str) -> None:
    write(tmp_path / "1.jpg")
    file = write(tmp_path / name)
    found = find(tmp_path)
    assert (found.folder, found.annotations) == (tmp_path, file)
    assert found.annotations_path == name.replace(" ", "%20")


def test_a_file_in_the_folder_itself_comes_before_those_in_its_subfolders(tmp_path: Path) -> None:
    write(tmp_path / "older" / "annotations.csv")
    file = write(tmp_path / "annotations.csv")
    assert find(tmp_path).annotations == file


def test_of_several_annotation_files_one_must_be_named(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    named = write(tmp_path / "b.json")
    with pytest.raises(click.UsageError, match=r"a\.csv, b\.json\. Name one"):
        find(tmp_path)
    assert find(named).annotations == named


def test_a_folder_without_annotations_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="has no annotation file"):
        find(tmp_path)
    with pytest.raises(click.UsageError, match="does not exist"):
        find(tmp_path / "missing")


def test_two_folders_of_the_same_name_are_an_error(tmp_path: Path) -> None:
    for parent in "ab":
        write(tmp_path / parent / "cats" / "annotations.csv")
    with pytest.raises(click.UsageError, match="Two folders are named cats"):
        find_all([str(tmp_path / "a/cats"), str(tmp_path / "b/cats")])
