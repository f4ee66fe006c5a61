"""TLS and passwords to a server, a cluster, and a primary behind a Sentinel, with certificates made here."""

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.end_to_end.cluster_nodes import free_node_ports
from tests.end_to_end.system import data_folder, environment_for, eventually, manage
from tests.signals_app.conftest import fields

NODES, WATCH = "of-the-nodes", "of-the-sentinel"


def make_certificate(folder: Path, address: str) -> list[str]:
    """A self-signed certificate for ``address``, and the options by which a server uses it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "avo test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files = ["--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key", "--tls-ca-cert-file", "tls.crt"]
    return [part if part.startswith("--") else str(folder / part) for part in files] + ["--tls-auth-clients", "no"]


@contextmanager
def server(folder: Path, port: int, *options: str) -> Iterator[int]:
    own = folder / str(port)
    own.mkdir()
    common = ["--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--dir", str(own)]
    process = subprocess.Popen(["redis-server", *options, *common], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: cli(folder, port, "ping"))
        yield port
    finally:
        process.kill()
        process.wait()


def cli(folder: Path, port: int, *command: str, password: str = NODES) -> str:
    tls = ["--tls", "--cacert", str(folder / "tls.crt"), "--no-auth-warning", "-a", password, "-p", str(port)]
    return subprocess.run(["redis-cli", *tls, *command], capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as found:
        yield found


def publish(folder: Path, url: str) -> str:
    environment = environment_for(folder) | {"SIGNALS_REDIS_URL": url, "SSL_CERT_FILE": str(folder / "tls.crt")}
    (folder / "signals.ndjson").write_bytes(orjson.dumps(fields(1)))
    return manage(environment, "publish_signals", str(folder / "signals.ndjson"))


def test_a_server(folder: Path) -> None:
    options = [*make_certificate(folder, "127.0.0.1"), "--requirepass", NODES]
    [port] = free_node_ports(1)
    with server(folder, port, *options):
        assert publish(folder, f"rediss://:{NODES}@127.0.0.1:{port}") == "published=1 bad=0\n"


def test_a_certificate_of_another_host_is_refused(folder: Path) -> None:
    options = [*make_certificate(folder, "127.0.0.2"), "--requirepass", NODES]
    [port] = free_node_ports(1)
    with server(folder, port, *options), pytest.raises(AssertionError, match="certificate verify failed"):
        publish(folder, f"rediss://:{NODES}@127.0.0.1:{port}")


def test_a_cluster(folder: Path) -> None:
    options = [*make_certificate(folder, "127.0.0.1"), "--requirepass", NODES, "--cluster-enabled", "yes"]
    with ExitStack() as stack:
        ports = [
            stack.enter_context(server(folder, port, *options, "--tls-cluster", "yes")) for port in free_node_ports(2)
        ]
        cli(folder, ports[0], "cluster", "addslotsrange", "0", "8191")
        cli(folder, ports[1], "cluster", "addslotsrange", "8192", "16383")
        cli(folder, ports[0], "cluster", "meet", "127.0.0.1", str(ports[1]))
        eventually(lambda: all("cluster_state:ok" in cli(folder, port, "cluster", "info") for port in ports))
        assert publish(folder, f"rediss+cluster://:{NODES}@127.0.0.1:{ports[0]}") == "published=1 bad=0\n"


def test_a_primary_behind_a_sentinel(folder: Path) -> None:
    """Server and Sentinel have a password each."""
    options = make_certificate(folder, "127.0.0.1")
    port, watch = free_node_ports(2)
    (folder / "sentinel.conf").write_text(
        f"sentinel monitor avo 127.0.0.1 {port} 1\nsentinel auth-pass avo {NODES}\nrequirepass {WATCH}\n"
    )
    of_sentinel = [str(folder / "sentinel.conf"), "--sentinel", "--tls-replication", "yes", *options]
    url = f"rediss+sentinel://:{NODES}@127.0.0.1:{watch}/avo/0?sentinel_password={WATCH}"
    with server(folder, port, *options, "--requirepass", NODES), server(folder, watch, *of_sentinel):
        eventually(lambda: "status=ok" in cli(folder, watch, "info", "sentinel", password=WATCH))
        assert publish(folder, url) == "published=1 bad=0\n"
        with pytest.raises(AssertionError, match=r"(?i)auth"):
            publish(folder, url.partition("?")[0])
