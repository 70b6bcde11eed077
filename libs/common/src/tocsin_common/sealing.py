"""ADAPTER. Webhook URLs are bearer secrets: sealed with AES-256-GCM, compared by an HMAC under its own key."""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tocsin_common.errors import SealingError, SettingsError

KEY_BYTES = 32
KEY_ID_BYTES = 4
NONCE_BYTES = 12  # what AES-GCM is specified for (NIST SP 800-38D)


class Sealer:
    """Seals with the first key, opens with any. A sealed value is key id + nonce + ciphertext with tag."""

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._sealing_id = _key_id(keys[0])
        self._hash_key = HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"tocsin webhook url hash").derive(
            keys[0]
        )

    @classmethod
    def from_setting(cls, sealing_keys: str) -> "Sealer":
        """From `SEALING_KEYS`: comma-separated base64, 32 bytes each. SettingsError names the bad entry."""
        return cls(
            [_decode_key(text.strip(), position) for position, text in enumerate(sealing_keys.split(","), 1)]
        )

    def seal(self, text: str, *, context: bytes) -> bytes:
        """Seal `text` for `context` (the task's id): it can be opened for that task alone."""
        nonce = os.urandom(NONCE_BYTES)
        return self._sealing_id + nonce + self._ciphers[self._sealing_id].encrypt(nonce, text.encode(), context)

    def open(self, sealed: bytes, *, context: bytes) -> str:
        """Raises SealingError where no key fits or the value was sealed for another context."""
        key_id, nonce = sealed[:KEY_ID_BYTES], sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealingError(f"no key with the id {key_id.hex()} is in SEALING_KEYS")
        try:
            return cipher.decrypt(nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], context).decode()
        except (InvalidTag, ValueError) as error:  # the second for what is too short to hold a nonce
            raise SealingError("the sealed value was changed, or belongs to another task") from error

    def hash(self, text: str) -> bytes:
        """32 bytes that are equal for equal texts and say nothing else about them."""
        return hmac.new(self._hash_key, text.encode(), hashlib.sha256).digest()


def _decode_key(text: str, position: int) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"SEALING_KEYS: entry {position} is not base64 of {KEY_BYTES} bytes (openssl rand -base64 32)"
        )
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"tocsin key id" + key).digest()[:KEY_ID_BYTES]
