"""Which cluster the demo takes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from demo.__main__ import main
from demo.chart import split_image
from demo.environment import own_site, read_env, wants_local
from demo.errors import SetupError
from localcluster.paths import STATE, StateFolder

OWN = {"KUBECONFIG": "/k", "OPERATOR_IMAGE": "o", "TRAINER_IMAGE": "t", "AZURE_STORAGE_CONNECTION_STRING": "s"}


@pytest.mark.parametrize(
    ("environ", "local"),
    [
        ({}, True),
        ({"KUBECONFIG": ""}, True),
        ({"KUBECONFIG": "/theirs"}, False),
        ({"KUBECONFIG": "/theirs", "VOTT_TRAIN_LOCAL": "1"}, True),
        ({"KUBECONFIG": "/local"}, True),
    ],
)
def test_local_cluster_is_taken_unless_the_user_names_another(environ: dict[str, str], local: bool) -> None:
    assert wants_local(environ, {"KUBECONFIG": "/local"}) is local


def test_local_clusters_kubeconfig_means_it_also_after_make_down() -> None:
    assert wants_local({"KUBECONFIG": str(StateFolder(STATE).kubeconfig)}, {})


def test_own_cluster_is_described_by_the_environment() -> None:
    site = own_site(OWN | {"NAMESPACE": "ns", "HOST_ADDRESS": "10.0.0.1"})
    assert (site.kubeconfig, site.namespace, site.host_address) == ("/k", "ns", "10.0.0.1")


def test_host_address_and_namespace_are_optional() -> None:
    site = own_site(OWN)
    assert (site.namespace, site.host_address) == ("vott-train", None)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        own_site({"KUBECONFIG": "/k", "TRAINER_IMAGE": "t"})
    assert "OPERATOR_IMAGE" in caught.value.message
    assert "AZURE_STORAGE_CONNECTION_STRING" in caught.value.message
    assert "TRAINER_IMAGE" not in caught.value.message


def test_missing_settings_end_the_demo_with_exit_code_2() -> None:
    environ = {"KUBECONFIG": "/theirs", "OPERATOR_IMAGE": None, "VOTT_TRAIN_LOCAL": None}
    outcome = CliRunner().invoke(main, [], env=environ)
    assert outcome.exit_code == 2
    assert "OPERATOR_IMAGE" in outcome.output


def test_env_file_is_read_as_a_shell_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# local cluster\nexport A='x;y=z'\nexport B=\"two words\"\nC=3\n")
    assert read_env(file) == {"A": "x;y=z", "B": "two words", "C": "3"}


def test_missing_env_file_is_empty(tmp_path: Path) -> None:
    assert read_env(tmp_path / "env") == {}


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("registry.example/vott/operator:1.2", ("registry.example/vott/operator", "1.2")),
        ("registry.example:5000/operator", ("registry.example:5000/operator", "latest")),
        ("operator", ("operator", "latest")),
        ("registry.example/operator@sha256:ab12", ("registry.example/operator@sha256", "ab12")),
    ],
)
def test_image_is_split_as_the_chart_joins_it(image: str, parts: tuple[str, str]) -> None:
    assert split_image(image) == parts
