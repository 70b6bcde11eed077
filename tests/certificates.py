"""ADAPTER. A certificate authority of the tests' own, and what servers with good and bad certificates show."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """Whoever is given `trust` believes the certificates that it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("an authority")
        now = datetime.now(UTC)
        builder = _certificate(self._name, self._name, self._key, now - DAY, now + DAY)
        authority = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        pem = authority.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.file = folder / "authority.crt"
        """Its own certificate, for whoever reads SSL_CERT_FILE."""
        self.file.write_bytes(pem)
        self.trust = ssl.create_default_context(cadata=pem.decode())

    def server(self, *hosts: str, expired: bool = False) -> ssl.SSLContext:
        """For a server that claims to be `hosts`, names or addresses."""
        now = datetime.now(UTC)
        ends = now - DAY if expired else now + DAY
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(_name(hosts[0]), self._name, key, now - 2 * DAY, ends)
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        certificate = builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        path = self._folder / f"{hosts[0]}-{ends:%d}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
