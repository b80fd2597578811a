"""`devboxgpu login` and `devboxgpu logout`; and signing in at the first verb, where a person is there to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from devboxgpu.configuration import Configuration
    from devboxgpu.sign_in.settings import SignInSettings


@click.command(short_help="Sign in to the control plane.")
@click.option("--device-code", is_flag=True, help="By a code that you enter in any browser, on any machine.")
@click.option(
    "--unencrypted-cache",
    is_flag=True,
    help="Where tokens cannot be kept encrypted: keep them in a file that only you can read.",
)
def login(*, device_code: bool, unencrypted_cache: bool) -> None:
    """Sign in to the control plane: by the broker of Windows or macOS, the browser, or a code for another device.

    Other verbs never ask where no terminal is there to ask at. The account is remembered until 'devboxgpu logout'; its
    tokens are kept encrypted.
    """
    from devboxgpu.notices import Notices
    from devboxgpu.sign_in.log_in import log_in

    settings = _settings()
    how = "device-code" if device_code else settings.how
    notices = Notices()
    signed_in = log_in(settings, how=how, is_unencrypted=unencrypted_cache, say=notices.say)
    if unencrypted_cache:
        notices.say(
            "where this system cannot encrypt them, your tokens are now in a plain file under ~/.IdentityService"
        )
    notices.say(f"signed in as {signed_in.username}")


@click.command(short_help="Forget who is signed in.")
def logout() -> None:
    """Forget who is signed in, and take the tokens out of the cache. A token in use expires by itself, within hours."""
    from devboxgpu.notices import Notices
    from devboxgpu.sign_in.log_in import log_out

    username = log_out(_settings())
    Notices().say(f"signed out {username}" if username is not None else "nobody was signed in")


def sign_in_first(configuration: Configuration) -> None:
    """Asks the person at this terminal to sign in, where nothing at all could give a token without asking."""
    from devboxgpu.notices import Notices
    from devboxgpu.sign_in.chain import ChainToken
    from devboxgpu.sign_in.log_in import log_in
    from devboxgpu.sign_in.settings import sign_in_settings

    settings = sign_in_settings(configuration.values)
    if not isinstance(configuration.tokens, ChainToken) or settings is None or settings.client_id is None:
        return
    if settings.how in {"silent", "environment"} or configuration.tokens.is_set_up():
        return
    log_in(settings, how=settings.how, is_unencrypted=False, say=Notices().say)


def _settings() -> SignInSettings:
    from devboxgpu.configuration import configured_values
    from devboxgpu.errors import ConfigurationError
    from devboxgpu.sign_in.settings import sign_in_settings

    if (settings := sign_in_settings(configured_values())) is None:
        raise ConfigurationError(
            "nothing says what to sign in to: 'devboxgpu config set client_id ID', the id of this command's app "
            "registration in Entra (and tenant_id, scope where needed)"
        )
    return settings
