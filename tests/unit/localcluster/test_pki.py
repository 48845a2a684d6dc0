"""Keys and certificates of a cluster."""

import ssl
import stat
from pathlib import Path

import yaml
from cryptography import x509

from localcluster.pki import Authority, write_kubeconfig


def test_a_server_certificate_is_valid_for_its_addresses_and_signed_by_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("server", ["10.0.0.1", "kubernetes.default.svc"])
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["10.0.0.1", "kubernetes.default.svc"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate.read_bytes()))
    ssl.create_default_context().load_cert_chain(pair.certificate, pair.key)


def test_a_client_certificate_names_user_and_groups(tmp_path: Path) -> None:
    pair = Authority(tmp_path).client("client", "system:node:a", ["system:nodes"])
    subject = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).subject
    assert subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"


def test_an_existing_certificate_is_kept(tmp_path: Path) -> None:
    first = Authority(tmp_path).client("client", "admin").certificate.read_bytes()
    assert Authority(tmp_path).client("client", "admin").certificate.read_bytes() == first


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.client("client", "admin")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", "https://10.0.0.1", authority, pair)
    for file in (pair.key, kubeconfig, authority.signing_key("tokens")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_namespace_of_a_kubeconfig_is_optional(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.client("client", "admin")
    for namespace, expected in (("", None), ("vott-train", "vott-train")):
        file = write_kubeconfig(tmp_path / "kubeconfig", "https://10.0.0.1", authority, client, namespace)
        (context,) = yaml.safe_load(file.read_text())["contexts"]
        assert context["context"].get("namespace") == expected


def test_a_kubeconfig_contains_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig", "https://10.0.0.1", authority, authority.client("client", "admin")
    )
    (cluster,) = yaml.safe_load(kubeconfig.read_text())["clusters"]
    assert set(cluster["cluster"]) == {"server", "certificate-authority-data"}
