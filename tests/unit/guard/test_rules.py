"""Which URLs and addresses the administrator's rules refuse."""

import ipaddress

import pytest

from vott_guard.rules import RefusedError, Rules, host_pattern, network

DEFAULT = Rules()
OPEN = Rules(
    allow_http=True,
    hosts=("store.cluster.local", "*.inner.test"),
    networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")),
)
"""The most permissive rules."""

NEVER = [
    "169.254.169.254",  # Azure, AWS, Google
    "169.254.0.1",
    "169.254.170.2",  # AWS' containers
    "168.63.129.16",  # Azure's platform
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::2",  # 0.0.0.2, IPv4-compatible
    "fe80::1",
    "fe80::a9fe:a9fe",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",  # Oracle
    "fd00:42::42",  # Scaleway
    "64:ff9b:1::a9fe:a9fe",  # a cluster's own NAT64
    "::ffff:169.254.169.254",  # mapped
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",  # compatible
    "::ffff:0:169.254.169.254",  # translated
    "64:ff9b::169.254.169.254",  # NAT64
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",  # 6to4
    "2001:0:a9fe:a9fe::1",  # Teredo's server
    "2001:0:4136:e378:8000:63bf:5601:5601",  # Teredo's client, inverted
    "2600::5efe:169.254.169.254",  # ISATAP
    "2600::200:5efe:a9fe:a9fe",
]
NOT_PUBLIC = [
    "10.0.0.1",  # cluster services
    "10.96.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "2001:db8::1",
    "2001:2::1",
    "2002:808:808::1",
    "3fff::1",
    "64:ff9b:1::a00:1",
    "4000::1",  # not assigned yet
    "100::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:a00:1::1",
]
PUBLIC = ["8.8.8.8", "20.60.1.2", "52.239.0.1", "2603:1030::1", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
METADATA_NOTATIONS = [
    "2852039166",  # decimal
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "025177524776",  # octal
    "0251.0376.0251.0376",
    "169.254.43518",  # three parts
    "169.16689662",  # two
    "0xa9.254.0251.254",
    "[::ffff:169.254.169.254]",
    "[fe80::1%25eth0]",
    "[64:ff9b::a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
]
LOOPBACK_NOTATIONS = [
    "127.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "localhost",
    "a.localhost",
    "LOCALHOST.",
]


def refusal(rules: Rules, url: str) -> str:
    with pytest.raises(RefusedError) as refused:
        rules.check_url(url)
    return str(refused.value)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("host", ["anywhere.test", "store.cluster.local", "a.inner.test"])
def test_some_addresses_are_never_allowed_whatever_the_lists_contain(host: str, address: str) -> None:
    with pytest.raises(RefusedError, match="Nothing can allow it"):
        OPEN.check_address(host, address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_must_be_listed(address: str) -> None:
    with pytest.raises(RefusedError, match=r"outgoing\.hosts .* or outgoing\.networks") as refused:
        DEFAULT.check_address("store.test", address)
    assert "store.test" in refused.value.where
    Rules(hosts=("store.test",)).check_address("store.test", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_by_default(address: str) -> None:
    DEFAULT.check_address("store.test", address)
    with pytest.raises(RefusedError, match="only listed hosts and networks"):
        Rules(public_addresses=False).check_address("store.test", address)


@pytest.mark.parametrize("host", METADATA_NOTATIONS)
def test_the_metadata_service_is_recognized_in_every_notation(host: str) -> None:
    assert "Nothing can allow it" in refusal(OPEN, f"https://{host}/latest")


@pytest.mark.parametrize("host", LOOPBACK_NOTATIONS)
def test_loopback_is_recognized_in_every_notation(host: str) -> None:
    assert "loopback" in refusal(DEFAULT, f"https://{host}/")


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://store.test/a", "only https"),
        ("ftp://store.test/a", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("gopher://store.test/", "only http and https"),
        ("//store.test/a", "only http and https"),
        ("https:///a", "only http and https"),
        ("https://user@store.test/", "user name or password"),
        ("https://store.test:pass@169.254.169.254/", "user name or password"),
        ("https://store.test%40evil.test/", "not an ASCII host name"),
        ("https://store.test\\@evil.test/", "backslashes"),
        ("https://store.test/\r\nHost: evil.test", "control characters"),
        (" https://store.test/a", "control characters"),
        ("https://store .test/a", "not an ASCII host name"),
        ("https://store.test:99999/", "can't be read"),
        ("https://store.test:x/", "can't be read"),
        ("https://[::1/", "can't be read"),
        ("https://store.test:1023/", "belongs to another service"),
        ("https://store.test:22/", "belongs to another service"),
        ("https://store.test:25/", "belongs to another service"),
        ("https://store.test:0/", "belongs to another service"),
        ("https://stоre.test/", "not an ASCII host name"),  # noqa: RUF001 - a Cyrillic o
        ("https://①②⑦.⓪.⓪.①/", "not an ASCII host name"),
        ("https://store。test/", "not an ASCII host name"),
        ("https://-store.test/", "not an ASCII host name"),
        ("https://store..test/", "not an ASCII host name"),
        ("https://store.test%00.evil.test/", "not an ASCII host name"),
        ("https://" + "a" * 64 + ".test/", "not an ASCII host name"),
    ],
)
def test_a_suspicious_url_is_refused_with_the_reason(url: str, rule: str) -> None:
    assert rule in refusal(DEFAULT, url)


@pytest.mark.parametrize("port", [80, 443, 1024, 65535])
def test_web_ports_and_unprivileged_ports_are_allowed(port: int) -> None:
    DEFAULT.check_url(f"https://store.test:{port}/")


def test_a_path_may_contain_spaces() -> None:
    DEFAULT.check_url("https://store.test/my model/a.csv?sig=x y")


def test_no_refusal_shows_a_query() -> None:
    for url in ("http://store.test/a?sig=SECRET", "https://u:SECRET@store.test/?SECRET", "https://10.0.0.1/?SECRET"):
        assert "SECRET" not in refusal(DEFAULT, url)


def test_subdomains_of_a_wildcard_are_listed_and_similar_names_are_not() -> None:
    for host in (
        "store.cluster.local",
        "STORE.cluster.local",
        "store.cluster.local.",
        "a.inner.test",
        "b.a.inner.test",
    ):
        Rules(hosts=OPEN.hosts).check_address(host, "10.2.3.4")
    for host in ("astore.cluster.local", "store.cluster.local.evil.test", "inner.test", "ainner.test"):
        with pytest.raises(RefusedError):
            Rules(hosts=OPEN.hosts).check_address(host, "10.2.3.4")


def test_a_network_allows_its_addresses_in_mapped_form_too() -> None:
    rules = Rules(networks=(network("10.1.2.0/24"),))
    for address in ("10.1.2.3", "::ffff:10.1.2.3"):
        rules.check_address("any.test", address)
    with pytest.raises(RefusedError):
        rules.check_address("any.test", "10.1.3.3")


def test_without_public_addresses_an_unlisted_name_is_refused_before_it_is_resolved() -> None:
    closed = Rules(public_addresses=False, hosts=("store.test",))
    closed.check_url("https://store.test/")
    assert "only listed hosts" in refusal(closed, "https://elsewhere.test/")


def test_rules_survive_the_environment_unchanged() -> None:
    for rules in (DEFAULT, OPEN, Rules(public_addresses=False)):
        assert Rules.from_environment(rules.to_environment()) == rules
    assert Rules.from_environment({}) == DEFAULT
    assert set(DEFAULT.to_environment()) == {
        "VOTT_ALLOW_HTTP",
        "VOTT_PUBLIC_ADDRESSES",
        "VOTT_ALLOWED_HOSTS",
        "VOTT_ALLOWED_NETWORKS",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VOTT_ALLOW_HTTP", "yes"),
        ("VOTT_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("VOTT_ALLOWED_NETWORKS", "169.254.169.254"),
        ("VOTT_ALLOWED_NETWORKS", "10.0.0.0/8,168.63.129.16/32"),
        ("VOTT_ALLOWED_NETWORKS", "fe80::/16"),
        ("VOTT_ALLOWED_HOSTS", "https://store.test"),
        ("VOTT_ALLOWED_HOSTS", "10.0.0.1"),
        ("VOTT_ALLOWED_HOSTS", "*"),
    ],
)
def test_an_invalid_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Rules.from_environment({name: value})


def test_white_space_around_entries_is_ignored() -> None:
    assert host_pattern(" *.Example.com ") == "*.example.com"
    assert str(network(" 10.1.2.3 ")) == "10.1.2.3/32"
