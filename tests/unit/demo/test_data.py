"""The user's own images and annotations in the demo: what is uploaded, and what is refused before a cluster starts."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import demo.__main__
from demo.data import archive_of
from demo.errors import SetupError
from tests.support.packed import image, packed, voc
from vott_trainer.annotations import read


def test_folder_is_packed_without_hidden_files_and_read_by_the_trainer(tmp_path: Path) -> None:
    pets = tmp_path / "my pets"
    (pets / "images").mkdir(parents=True)
    (pets / ".git").mkdir()
    (pets / ".git" / "config").write_text("x")
    (pets / "images" / "a.png").write_bytes(image())
    (pets / "a.xml").write_text(voc("a.png"))
    with archive_of(pets) as archive:
        assert archive.name == "my pets.zip"
        with zipfile.ZipFile(archive) as packed_files:
            assert sorted(packed_files.namelist()) == ["a.xml", "images/a.png"]
        found = read(archive, archive.name)
    assert found.labels == ["cat"]
    assert not archive.exists()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archive_is_uploaded_as_it_is(kind: str, tmp_path: Path) -> None:
    path = packed(tmp_path / f"pets.{kind}", {"a.png": image()}, kind)
    with archive_of(path) as archive:
        assert archive == path
    assert tarfile.is_tarfile(path) or zipfile.is_zipfile(path)


@pytest.mark.parametrize("name", ["missing", "a.csv", "empty"])
def test_other_data_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a.png,1,2,3,4,cat\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SetupError, match=r"must be a folder or an archive|has no files"), archive_of(tmp_path / name):
        pass


def test_data_are_checked_before_a_cluster_starts(tmp_path: Path) -> None:
    result = CliRunner().invoke(demo.__main__.main, env={"DATA": str(tmp_path / "missing"), "KUBECONFIG": "/missing"})
    assert result.exit_code == 2
    assert "DATA must be a folder or an archive (.zip, .tar, .tar.gz) with images and annotations" in result.output
