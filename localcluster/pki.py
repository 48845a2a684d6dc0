"""Certificate authority, certificates, keys and kubeconfigs of one cluster."""

import base64
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcluster.files import write_if_changed

_LIFETIME = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """Files of a key and its certificate."""

    key: Path
    certificate: Path


class Authority:
    """Signs certificates into a folder. Existing files are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pair = self._paths("ca")
        if not self._pair.certificate.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name("vott-train-localcluster", [])
            _write(
                self._pair,
                key,
                _builder(name, name, key)
                .add_extension(x509.BasicConstraints(True, 0), True)
                .sign(key, hashes.SHA256()),
            )

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self._pair.certificate

    def client(self, file: str, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A client certificate, from which Kubernetes reads user and groups."""
        return self._issue(file, _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def server(self, file: str, hosts: Sequence[str]) -> KeyPair:
        """A server certificate for these addresses and names."""
        names = [_general_name(host) for host in hosts]
        return self._issue(
            file, _name(hosts[0], []), ExtendedKeyUsageOID.SERVER_AUTH, [x509.SubjectAlternativeName(names)]
        )

    def signing_key(self, file: str) -> Path:
        """A private key without a certificate, to sign service account tokens."""
        path = self._folder / f"{file}.key"
        if not path.exists():
            write_if_changed(path, _pem(ec.generate_private_key(ec.SECP256R1())))
        return path

    def _paths(self, file: str) -> KeyPair:
        return KeyPair(self._folder / f"{file}.key", self._folder / f"{file}.crt")

    def _issue(
        self, file: str, name: x509.Name, usage: x509.ObjectIdentifier, extensions: Sequence[x509.ExtensionType]
    ) -> KeyPair:
        pair = self._paths(file)
        if pair.certificate.exists():
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self._pair.certificate.read_bytes()).subject
        builder = _builder(name, issuer, key).add_extension(x509.ExtendedKeyUsage([usage]), False)
        for extension in extensions:
            builder = builder.add_extension(extension, False)
        _write(pair, key, builder.sign(self._signer(), hashes.SHA256()))
        return pair

    def _signer(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self._pair.key.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key


def write_kubeconfig(path: Path, server: str, authority: Authority, client: KeyPair, namespace: str = "") -> Path:
    """Write a self-contained kubeconfig; ``namespace`` is the context's default."""
    cluster = {"server": server, "certificate-authority-data": _base64(authority.certificate)}
    user = {"client-certificate-data": _base64(client.certificate), "client-key-data": _base64(client.key)}
    name = "vott-train"
    context = {"cluster": name, "user": name, **({"namespace": namespace} if namespace else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    write_if_changed(path, json.dumps(config, indent=1).encode())  # JSON is YAML
    return path


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, value) for value in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key.public_key())
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # EC PRIVATE KEY, not PKCS #8: all Kubernetes programs can read it
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(pair: KeyPair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    write_if_changed(pair.key, _pem(key))
    write_if_changed(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))
