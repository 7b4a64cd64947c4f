"""The bearer token with which a Kubeflow Pipelines server is asked."""

from collections.abc import Mapping
from pathlib import Path

from kfp.client.token_credentials_base import TokenCredentialsBase
from kfp_server_api import Configuration

from audiostyle.errors import InputError

TOKEN = "AUDIOSTYLE_KFP_TOKEN"  # noqa: S105, the name of a variable


class Token(TokenCredentialsBase):  # type: ignore[misc]
    """A bearer token from a file or, where there is none, the environment."""

    def __init__(self, file: str, environment: Mapping[str, str]) -> None:
        self._file = file
        self._given = environment.get(TOKEN, "").strip()
        self.value = self._read()

    def renew(self) -> bool:
        """Read the token again; tells whether it is another one now."""
        before, self.value = self.value, self._read()
        return self.value != before

    def refresh_api_key_hook(self, config: Configuration) -> None:
        """Put the token into a request (kfp calls this for each)."""
        config.api_key["authorization"] = self.value

    @property
    def source(self) -> str:
        """Where it is from, in words."""
        return f"token_file {self._file}" if self._file else TOKEN

    def _read(self) -> str:
        if not self._file:
            return self._given
        try:
            text = Path(self._file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not text"
            raise InputError(f"token_file: {self._file} cannot be read: {reason}") from None
        if not text or len(text.split()) != 1:
            # What is in it is kept out of the message.
            raise InputError(f"token_file: {self._file} holds no token, which is one word")
        return text
