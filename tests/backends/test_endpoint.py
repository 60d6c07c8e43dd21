"""Addresses: what may be talked to, and that what was checked is what is used."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.endpoint import checked_endpoint, endpoint, is_loopback
from picture_captioner.errors import ConfigurationError

LOOPBACK = ["localhost", "LOCALHOST", "127.0.0.1", "127.255.3.4", "::1", "0:0:0:0:0:0:0:1"]
ELSEWHERE = [
    "example.com",
    "localhost.example.com",
    "localhost.",
    "127.0.0.1.nip.io",
    "0.0.0.0",
    "10.0.0.7",
    "192.168.1.9",
    "::ffff:127.0.0.1",
    "::",
    "2130706433",
    "0x7f000001",
    "127.1",
    "",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_by_name_and_number(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_what_only_looks_like_this_machine_is_another(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "used", "host"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1", "api.example.com"),
        ("https://API.Example.com:8443/v1/", "https://api.example.com:8443/v1", None),
        (" http://localhost:11434/v1\n", "http://localhost:11434/v1", "localhost:11434"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "[::1]:8000"),
        ("http://127.0.0.1", "http://127.0.0.1", "127.0.0.1"),
    ],
)
def test_good_addresses(url, used, host):
    checked = checked_endpoint(url)
    assert checked.url == used
    assert host is None or checked.host == host


@pytest.mark.parametrize("host", ["nas.local", "192.168.1.9:8000", "0.0.0.0:11434", "127.1"])
def test_plain_http_to_another_machine_must_be_asked_for(host):
    with pytest.raises(ConfigurationError, match="--allow-http"):
        checked_endpoint(f"http://{host}/v1")
    assert checked_endpoint(f"http://{host}/v1", allow_http=True).host == host


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "http://192.168.1.9/v1"])
def test_local_only_means_this_machine_whatever_else_is_allowed(url):
    with pytest.raises(ConfigurationError, match="--local-only"):
        checked_endpoint(url, allow_http=True, local_only=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "ftp://example.com",
        "file:///etc/passwd",
        "https://",
        "https://user:hunter2@example.com/v1",
        "https://example.com/v1?key=hunter2",
        "https://example.com/v1#hunter2",
        "http://127.0.0.1\\@example.com/v1",
        "http://localhost\\.example.com/v1",
        "https://example.com:99999/v1",
        "https://exa mple.com/v1",
        "https://bücher.example/v1",
        "https://[::1/v1",
        "https://%31%32%37.0.0.1/v1",
    ],
)
def test_addresses_that_parsers_disagree_on_are_refused_without_quoting_them(url):
    with pytest.raises(ConfigurationError) as caught:
        checked_endpoint(url, allow_http=True)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet="abc1.:/@\\?#[]%-_ 0\t", max_size=30))
def test_the_http_client_sees_the_host_that_was_checked(tail):
    try:
        checked = checked_endpoint(f"https://{tail}", allow_http=True)
    except ConfigurationError:
        return
    try:
        seen = httpx2.URL(checked.url)
    except httpx2.InvalidURL:
        return
    assert checked.host in (seen.netloc.decode(), f"{seen.netloc.decode()}:443")
    assert checked.loopback == is_loopback(seen.host)


def test_settings_override_the_providers_own_address():
    settings = BackendSettings(model="m", base_url="http://localhost:1/v1")
    assert endpoint("https://api.example.com/v1", settings).host == "localhost:1"
    assert endpoint("https://api.example.com/v1", BackendSettings(model="m")).scheme == "https"


@pytest.mark.parametrize(
    ("url", "proxied"),
    [
        ("https://api.example.com/v1", True),
        ("https://localhost:8443/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://nas.local:8000/v1", False),
    ],
)
def test_a_proxy_never_reads_a_photo(url, proxied, monkeypatch):
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    checked = checked_endpoint(url, allow_http=True)
    assert checked.may_use_proxy is proxied
    with checked.http_client(5, connections=2) as client:
        assert bool(client._mounts) is proxied
        assert client.follow_redirects is False
        assert client.timeout.connect == 5


def test_a_proxy_variable_that_makes_no_sense_is_a_setting_to_correct(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:hunter2@proxy")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        checked_endpoint("https://api.example.com/v1").http_client(5, connections=2)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:abc", "http://[::1", "socks5://127.0.0.1:1080", "ftp://proxy"]
)
def test_any_proxy_that_cannot_be_used_is_a_sentence(proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        checked_endpoint("https://api.example.com/v1").http_client(5, connections=2)
    assert ("SOCKS" in str(caught.value)) == proxy.startswith("socks")
    assert caught.value.exit_code == 78
