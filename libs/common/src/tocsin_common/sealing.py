"""ADAPTER. Webhook URLs are bearer secrets: sealed with AES-256-GCM, compared by an HMAC under its own key."""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tocsin_common.errors import MissingKeyError, SealingError, SettingsError

KEY_BYTES = 32
KEY_ID_BYTES = 4
NONCE_BYTES = 12  # what AES-GCM is specified for (NIST SP 800-38D)


class Sealer:
    """Seals with the first key, opens with any. A sealed value is key id + nonce + ciphertext with tag."""

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._hash_keys = [_hash_key(key) for key in keys]
        self.first_id = _key_id(keys[0])
        """What each value begins with that this seals."""

    @classmethod
    def from_setting(cls, sealing_keys: str, *, source: str = "SEALING_KEYS") -> "Sealer":
        """From comma-separated base64, 32 bytes each. SettingsError names the bad entry of `source`."""
        keys: list[bytes] = []
        for position, text in enumerate(sealing_keys.split(","), 1):
            key = _decode_key(text.strip(), f"{source}: entry {position}")
            if _key_id(key) in map(_key_id, keys):
                raise SettingsError(f"{source}: entry {position} is an earlier one again")
            keys.append(key)
        return cls(keys)

    @property
    def key_ids(self) -> list[str]:
        """By which people tell the keys apart, the first key's first. They say nothing else about them."""
        return [key_id.hex() for key_id in self._ciphers]

    def seal(self, text: str, *, context: bytes) -> bytes:
        """Seal `text` for `context` (the task's id): it can be opened for that task alone."""
        nonce = os.urandom(NONCE_BYTES)
        return self.first_id + nonce + self._ciphers[self.first_id].encrypt(nonce, text.encode(), context)

    def open(self, sealed: bytes, *, context: bytes) -> str:
        """Raises MissingKeyError where no key fits, SealingError where the value is not as it was sealed."""
        key_id, nonce = sealed[:KEY_ID_BYTES], sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise MissingKeyError(
                f"no key with the id {key_id.hex()} is in SEALING_KEYS: add the key that sealed it, "
                "or set the task's webhookUrl anew"
            )
        try:
            return cipher.decrypt(nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], context).decode()
        except (InvalidTag, ValueError) as error:  # the second for what is too short to hold a nonce
            raise SealingError(
                "the sealed value was changed, or belongs to another task: set the task's webhookUrl anew"
            ) from error

    def hash(self, text: str) -> bytes:
        """32 bytes that are equal for equal texts under the same first key, and say nothing else about them."""
        return self.hashes(text)[0]

    def hashes(self, text: str) -> list[bytes]:
        """`hash` as it is and as it was when each of the other keys was the first one."""
        return [hmac.new(key, text.encode(), hashlib.sha256).digest() for key in self._hash_keys]


def _decode_key(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{name} is not base64 of {KEY_BYTES} bytes (openssl rand -base64 32)")
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"tocsin key id" + key).digest()[:KEY_ID_BYTES]


def _hash_key(key: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"tocsin webhook url hash").derive(key)
