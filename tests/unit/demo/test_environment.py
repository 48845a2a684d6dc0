"""Selection of the demo's cluster."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from demo.__main__ import main
from demo.chart import split_image
from demo.environment import read_env, user_variables, uses_local_cluster
from demo.errors import SetupError
from localcluster.paths import STATE, StateFolder

USER = {"KUBECONFIG": "/k", "OPERATOR_IMAGE": "o", "TRAINER_IMAGE": "t", "AZURE_STORAGE_CONNECTION_STRING": "s"}


@pytest.mark.parametrize(
    ("environ", "local"),
    [
        ({}, True),
        ({"KUBECONFIG": ""}, True),
        ({"KUBECONFIG": "/users"}, False),
        ({"KUBECONFIG": "/users", "VOTT_TRAIN_LOCAL": "1"}, True),
        ({"KUBECONFIG": "/local"}, True),
    ],
)
def test_the_local_cluster_is_used_unless_kubeconfig_names_another(environ: dict[str, str], local: bool) -> None:
    assert uses_local_cluster(environ, {"KUBECONFIG": "/local"}) is local


def test_the_local_clusters_kubeconfig_selects_it_after_make_down() -> None:
    assert uses_local_cluster({"KUBECONFIG": str(StateFolder(STATE).kubeconfig)}, {})


def test_variables_describe_the_users_cluster() -> None:
    chosen = {"NAMESPACE": "ns", "HOST_ADDRESS": "10.0.0.1", "QUEUE_NAME": "q"}
    assert user_variables(USER | chosen | {"HOME": "/root"}) == USER | chosen


def test_host_address_namespace_and_queue_are_optional() -> None:
    empty = {"HOST_ADDRESS": "", "NAMESPACE": ""}
    assert user_variables(USER | empty) == USER | {"NAMESPACE": "vott-train", "QUEUE_NAME": "training"}


def test_the_error_names_all_missing_variables() -> None:
    with pytest.raises(SetupError) as caught:
        user_variables({"KUBECONFIG": "/k", "TRAINER_IMAGE": "t"})
    assert "OPERATOR_IMAGE" in caught.value.message
    assert "AZURE_STORAGE_CONNECTION_STRING" in caught.value.message
    assert "TRAINER_IMAGE" not in caught.value.message


def test_missing_variables_end_the_demo_with_exit_code_2() -> None:
    environ = {"KUBECONFIG": "/users", "OPERATOR_IMAGE": None, "VOTT_TRAIN_LOCAL": None, "LOCAL": None}
    result = CliRunner().invoke(main, [], env=environ)
    assert result.exit_code == 2
    assert "OPERATOR_IMAGE" in result.output


def test_an_env_file_is_parsed_like_a_shell_does(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# local cluster\nexport A='x;y=z'\nexport B=\"two words\"\nC=3\n")
    assert read_env(file) == {"A": "x;y=z", "B": "two words", "C": "3"}


def test_a_missing_env_file_is_empty(tmp_path: Path) -> None:
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
def test_an_image_reference_is_split_into_repository_and_tag(image: str, parts: tuple[str, str]) -> None:
    assert split_image(image) == parts
